// SPDX-License-Identifier: Apache-2.0
#include "config/report.h"

#include <algorithm>
#include <cctype>
#include <numeric>

namespace mapshift::config {
namespace {

constexpr size_t kMaxProblems = 100;
constexpr size_t kMaxComparedLength = 64;

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (std::tolower(static_cast<unsigned char>(a[i - 1])) != std::tolower(static_cast<unsigned char>(b[j - 1])) ? 1U : 0U);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace

void Report::add(std::string code, std::string where, int line, const std::string& message) {
  if (problems_.size() == kMaxProblems) {
    ++left_out_;
    return;
  }
  problems_.push_back({std::move(code), std::move(where), line > 0 ? "line " + std::to_string(line) + ": " + message : message});
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
  size_t best = std::max<size_t>(1, name.size() / 3) + 1;
  std::string found;
  for (const std::string& candidate : candidates) {
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
  for (const std::string& candidate : candidates) list += (list.empty() ? "; known: " : ", ") + candidate;
  return list;
}

bool is_name(std::string_view text) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; };
  return !text.empty() && text.size() <= 63 && std::ranges::all_of(text, allowed);
}

}  // namespace mapshift::config
