// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "update/planner.h"

namespace mapshift::update {

// What the planner has to know of kinds of maps that the engine's programs do not walk. Pure.
struct KindRequest {
  const MapSpec& before;
  const MapSpec& after;
  const GenerationInput& old_side;
  const GenerationInput& next;
  const PlannerEnvironment& env;
  std::map<std::string, FieldRule> rules;
  std::string where;  // "maps.routes"
};

struct KindPlan {
  std::vector<Problem> warnings, refusals;
  bool loses = false;  // state that the update cannot keep, as `reset` would
};

// An update gives such a map a counterpart that is kept in step, drained or refilled.
[[nodiscard]] bool is_carried(MapType type);

// Nobody looks into its values: inner maps are told by their descriptors, elements of the same form are moved as bytes.
[[nodiscard]] bool is_moved_whole(MapType type, const SchemaDiff& value);

// What differs between the inner maps of two maps of maps; empty for other types.
[[nodiscard]] std::vector<std::string> inner_differences(const MapSpec& before, const MapSpec& after);

// After the general plan of a map with policy `sync`: what its kind makes of it. Changes spec and record.
[[nodiscard]] KindPlan adapt_to_kind(const KindRequest& request, SyncSpec& spec, MapRecord& record);

// A map that is made anew though it differs, because its consumer reads the old one to its end.
[[nodiscard]] KindPlan renew(const KindRequest& request, MapRecord& record);

}  // namespace mapshift::update
