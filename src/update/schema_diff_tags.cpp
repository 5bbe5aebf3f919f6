// SPDX-License-Identifier: Apache-2.0
#include "update/schema_diff_tags.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>

#include "update/merge/merge_policy.h"

namespace mapshift::update {

namespace {

constexpr std::string_view kPrefix = "mapshift:";

bool is_suffix_letter(char c) { return c == 'u' || c == 'U' || c == 'l' || c == 'L'; }

void read_tag(std::string_view tag, const std::string& where, RawTags& out, std::vector<Problem>& problems) {
  const size_t equals = tag.find('=');
  const std::string_view key = tag.substr(0, equals);
  const std::string_view text = equals == std::string_view::npos ? std::string_view{} : tag.substr(equals + 1);
  if (key == "from" && !text.empty()) {
    out.from = text;
    return;
  }
  if (key == "union" && !text.empty()) {
    out.discriminator = text;
    return;
  }
  if (key == "when" && !text.empty()) {
    out.when.emplace_back(text);
    return;
  }
  if (key == "otherwise" && text == "zero") {
    out.zero = true;
    return;
  }
  if (key == "merge") {
    if (const MergePolicy* policy = find_policy(text)) {
      out.merge = policy->merge;
      return;
    }
  }
  if (key == "default" || key == "epoch") {
    if (const auto number = parse_c_integer(text)) {
      (key == "default" ? out.default_value : out.epoch) = number;
      return;
    }
  }
  problems.push_back({"bad-tag", where,
                      fmt::format("the tag \"{}{}\" is not one that this release knows: use the macros of mapshift/module.bpf.h",
                                  kPrefix, tag)});
}

}  // namespace

std::optional<int64_t> parse_c_integer(std::string_view text) {
  while (!text.empty() && (text.front() == '(' || text.front() == ' ')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ')' || text.back() == ' ')) text.remove_suffix(1);
  while (!text.empty() && is_suffix_letter(text.back())) text.remove_suffix(1);
  if (text.empty() || text.size() > 24) return std::nullopt;
  const std::string copy(text);
  char* end = nullptr;
  errno = 0;
  const bool negative = copy.front() == '-';
  const int64_t value = negative ? std::strtoll(copy.c_str(), &end, 0)
                                 : static_cast<int64_t>(std::strtoull(copy.c_str(), &end, 0));
  if (errno != 0 || end != copy.c_str() + copy.size()) return std::nullopt;
  return value;
}

RawTags read_tags(const std::vector<std::string>& tags, const std::string& where, std::vector<Problem>& problems) {
  RawTags out;
  for (const std::string& tag : tags)
    if (tag.starts_with(kPrefix)) read_tag(std::string_view(tag).substr(kPrefix.size()), where, out, problems);
  return out;
}

}  // namespace mapshift::update
