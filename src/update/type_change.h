// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

#include "kernel/object_spec.h"

namespace mapshift::update {

// Hash maps and arrays: what the engine's programs walk.
[[nodiscard]] bool is_walked(MapType type);

// What a change of a map's type asks of its synchronisation.
enum class TypeChange : uint8_t {
  kNone,    // the same type
  kSwitch,  // a hash that begins or ceases to evict: the same values
  kAddUp,   // a value for each CPU becomes one: the sum of all
  kRefused,
};
[[nodiscard]] TypeChange type_change(MapType before, MapType after);
// For people: why a refused change is refused and what to do, or what an accepted one means; empty without a change.
[[nodiscard]] std::string describe_change(MapType before, MapType after);

}  // namespace mapshift::update
