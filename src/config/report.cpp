// SPDX-License-Identifier: Apache-2.0
#include "config/report.h"

#include <algorithm>
#include <cctype>
#include <numeric>

#include "kernel/instance_name.h"

namespace mapshift::config {
namespace {

constexpr size_t kMaxProblems = 100;
constexpr size_t kMaxText = 1000;  // of a problem: it quotes what may be a megabyte, or hold line feeds
constexpr size_t kMaxListed = 64;
constexpr size_t kMaxComparedLength = 64;
// Letters of one name times letters of its candidates: a thousand wrong names among a thousand others must not take minutes.
constexpr size_t kMaxCompared = 1U << 15;

bool same_letter(char a, char b) {
  return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
}

// Insertions, deletions, replacements and swapped neighbours.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    before.swap(last);
    last.swap(row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same_letter(a[i - 1], b[j - 1]) ? 0U : 1U)});
      const bool swapped = i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

std::string one_line(std::string text) {
  if (text.size() > kMaxText) {
    size_t end = kMaxText;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;  // no half of a character
    text.resize(end);
    text += "…";
  }
  std::ranges::replace_if(text, [](unsigned char c) { return std::iscntrl(c) != 0; }, '?');
  return text;
}

}  // namespace

void Report::add(std::string code, std::string where, int line, const std::string& message) {
  if (problems_.size() == kMaxProblems) {
    ++left_out_;
    return;
  }
  const std::string place = line > 0 ? "line " + std::to_string(line) + ": " : "";
  problems_.push_back({std::move(code), one_line(std::move(where)), place + one_line(message)});
}

Error Report::error() const {
  std::string message = file_name_ + ": ";
  if (problems_.size() == 1) {
    message += problems_.front().message;
  } else {
    message += std::to_string(problems_.size() + left_out_) + " problems";
    for (const Problem& problem : problems_) message += "\n  " + problem.message;
  }
  if (left_out_ > 0) message += "\n  and " + std::to_string(left_out_) + " more";
  return {ErrorCode::kInvalid, 0, std::move(message), {}, problems_};
}

std::string nearest(std::string_view name, const std::vector<std::string>& candidates) {
  if (name.size() > kMaxComparedLength) return {};
  size_t best = std::max<size_t>(1, name.size() / 3) + 1, compared = 0;
  std::string found;
  for (const std::string& candidate : candidates) {
    const size_t longer = std::max(candidate.size(), name.size()), shorter = std::min(candidate.size(), name.size());
    if (longer - shorter >= best) continue;
    compared += name.size() * candidate.size();
    if (compared > kMaxCompared) break;
    const size_t distance = edit_distance(name, candidate);
    if (distance < best) {
      best = distance;
      found = candidate;
    }
  }
  return found;
}

std::string suggestion(std::string_view name, const std::vector<std::string>& candidates) {
  if (const std::string found = nearest(name, candidates); !found.empty()) return "; did you mean \"" + found + "\"?";
  std::string list;
  for (size_t i = 0; i < std::min(candidates.size(), kMaxListed); ++i) list += (i == 0 ? "; known: " : ", ") + candidates[i];
  return candidates.size() > kMaxListed ? list + ", …" : list;
}

bool is_name(std::string_view text) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; };
  return !text.empty() && text.size() <= 63 && std::ranges::all_of(text, allowed);
}

bool is_full_name(std::string_view text) {
  const std::string_view base = base_name(text);
  return is_name(base) && (base == text || is_name(text.substr(base.size() + 1)));
}

}  // namespace mapshift::config
