// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "kernel/object_spec.h"

namespace mapshift::update {

// What this release can do with a map of a type when it is not identical in both generations.
enum class MapAbility : uint8_t {
  kSync,       // both maps are kept in step
  kReuseOnly,  // nothing: the update is refused
  kRebuilt,    // made anew from the new generation's programs
  kRefilled,   // a map of maps: the new one is given the inner maps, each kept in step
  kDrained,    // what waits in the old one is moved to the new one after the swap
  kRenewed,    // a new one; its consumer reads the old one to its end
};

struct MapKind {
  MapType type;
  MapAbility ability;
  std::string_view otherwise;  // what an update does when it is not identical, in words
};

// One line for each type that this release knows.
[[nodiscard]] const std::vector<MapKind>& map_kinds();
// Of a type newer than this release: that it can only be reused.
[[nodiscard]] const MapKind& map_kind(MapType type);
[[nodiscard]] inline MapAbility ability_of(MapType type) { return map_kind(type).ability; }

}  // namespace mapshift::update
