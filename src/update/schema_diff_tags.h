// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "update/manifest.h"

namespace mapshift::update {

// The "mapshift:" tags on one declaration. Others are nobody's business here.
struct RawTags {
  std::optional<Merge> merge = {};
  std::string from = {};
  std::optional<int64_t> default_value = {};
  std::optional<int64_t> epoch = {};
  std::string discriminator = {};      // on a union: the field beside it that says which member is in use
  std::vector<std::string> when = {};  // on such a member: the values that stand for it
  bool zero = false;                   // on a union: zero is carried with any other value
};
[[nodiscard]] RawTags read_tags(const std::vector<std::string>& tags, const std::string& where, std::vector<Problem>& problems);

// An integer constant as a C macro may have spelled it: "8", "-1", "(0x10)", "1000ULL".
[[nodiscard]] std::optional<int64_t> parse_c_integer(std::string_view text);

}  // namespace mapshift::update
