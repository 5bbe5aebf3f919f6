// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "update/map_class.h"
#include "update/planner_maps.h"
#include "update/schema_diff.h"

namespace mapshift::update {

// A map of the new generation and what it continues, while its plan is made.
struct MapPlanner::Pair {
  const MapSpec* before = nullptr;
  const MapSpec* after = nullptr;
  MapRule rule = {};
  std::string where = {};
  uint32_t entries0 = 0, entries1 = 0;
  int64_t epoch0 = 0, epoch1 = 0;
  SchemaDiff value = {};
  KeyDiff key = {};
  MapClass klass = {};
  bool transform = false;   // a function of the new object's converts the values
  std::optional<SyncSecond> second = {};  // and looks at another map of the old generation as well
  MapPlan out = {};
};

[[nodiscard]] inline bool constant(DataSection section) {
  return section == DataSection::kRodata || section == DataSection::kKconfig;
}

[[nodiscard]] inline MapRule rule_of(const GenerationInput& side, const std::string& map) {
  const auto it = side.manifest.maps.find(map);
  return it == side.manifest.maps.end() ? MapRule{} : it->second;
}

}  // namespace mapshift::update
