// SPDX-License-Identifier: Apache-2.0
#include "update/type_change.h"

#include <fmt/format.h>

namespace mapshift::update {

namespace {

bool is_hash(MapType type) {
  return type == MapType::kHash || type == MapType::kLruHash || type == MapType::kPercpuHash || type == MapType::kLruPercpuHash;
}

}  // namespace

bool is_walked(MapType type) { return is_hash(type) || is_array(type); }

TypeChange type_change(MapType before, MapType after) {
  if (before == after) return TypeChange::kNone;
  const bool same_keys = (is_hash(before) && is_hash(after)) || (is_array(before) && is_array(after));
  if (!same_keys) return TypeChange::kRefused;
  if (is_percpu(before) == is_percpu(after)) return TypeChange::kSwitch;
  return is_percpu(before) ? TypeChange::kAddUp : TypeChange::kRefused;
}

std::string describe_change(MapType before, MapType after) {
  const std::string change = fmt::format("the type changed from {} to {}", to_string(before), to_string(after));
  switch (type_change(before, after)) {
    case TypeChange::kNone: return {};
    case TypeChange::kSwitch:
      return fmt::format("{}: {}", change, is_lru(after) ? "from now on the oldest entries make room for new ones"
                                                         : "from now on nothing is evicted, and a full map takes no new key");
    case TypeChange::kAddUp: return fmt::format("{}: the values of all CPUs are added up", change);
    case TypeChange::kRefused: break;
  }
  if (!is_percpu(before) && is_percpu(after))
    return fmt::format("{}, and nothing says which CPU's value the shared one is: keep it shared, or say \"policy\": \"reset\"", change);
  return fmt::format("{}, between which nothing converts: give the new map another name, or say \"policy\": \"reset\"", change);
}

}  // namespace mapshift::update
