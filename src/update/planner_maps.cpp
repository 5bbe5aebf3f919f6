// SPDX-License-Identifier: Apache-2.0
#include "update/planner_maps.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "update/names.h"
#include "update/schema_diff_section.h"

namespace mapshift::update {

namespace {

// uapi flags of a map that forbid one side to write or read it.
constexpr uint32_t kReadOnly = 1U << 3, kWriteOnly = 1U << 4, kReadOnlyProgram = 1U << 7, kWriteOnlyProgram = 1U << 8;
constexpr uint32_t kMappable = 1U << 10;
constexpr uint32_t kAccessFlags = kReadOnly | kWriteOnly | kReadOnlyProgram | kWriteOnlyProgram;

bool constant(DataSection section) { return section == DataSection::kRodata || section == DataSection::kKconfig; }

MapRule rule_of(const GenerationInput& side, const std::string& map) {
  const auto it = side.manifest.maps.find(map);
  return it == side.manifest.maps.end() ? MapRule{} : it->second;
}

int64_t epoch_for(const MapSpec& map, const MapRule& rule);

}  // namespace

struct MapPlanner::Pair {
  const MapSpec* before = nullptr;
  const MapSpec* after = nullptr;
  MapRule rule = {};
  std::string where = {};
  uint32_t entries0 = 0, entries1 = 0;
  int64_t epoch0 = 0, epoch1 = 0;
  SchemaDiff value = {};
  KeyDiff key = {};
  MapPlan out = {};
};

}  // namespace mapshift::update
