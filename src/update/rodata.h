// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "kernel/object_spec.h"

namespace mapshift::update {

// What a manifest says of a `const volatile` variable, a member of one, or an element.
struct RodataValue {
  using Elements = std::vector<RodataValue>;
  using Members = std::map<std::string, RodataValue>;
  std::variant<bool, int64_t, uint64_t, double, std::string, Elements, Members> is;
  friend bool operator==(const RodataValue&, const RodataValue&) = default;
};

// `value` as the bytes of `variable`, by its BTF type; members and elements that it does not name are 0. Without BTF it is a number of
// the variable's size. `where` ("rodata.limits") begins the place that each of the problems names.
[[nodiscard]] Result<std::vector<std::byte>> encode_rodata(const Variable& variable, const RodataValue& value, const std::string& where);

}  // namespace mapshift::update
