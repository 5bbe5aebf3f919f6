// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "update/planner.h"
#include "update/planner_kinds.h"

namespace mapshift::update {

// Plans one map at a time into `plan`: its policy, its record, warnings and refusals.
class MapPlanner {
 public:
  MapPlanner(const GenerationInput& old_side, const GenerationInput& next, const PlannerEnvironment& env, Plan& plan)
      : old_(old_side), next_(next), env_(env), plan_(plan) {}

  void run();

 private:
  struct Pair;
  [[nodiscard]] bool first_load() const { return old_.ref.generation == 0; }
  [[nodiscard]] const MapSpec* find_old(const MapSpec& map, const MapRule& rule);
  void plan_map(const MapSpec& map);
  void plan_pair(Pair& pair);
  void plan_transform(Pair& pair, const SchemaRequest& request);
  void plan_second(Pair& pair);
  void check_seconds();
  [[nodiscard]] std::string what_goes(const std::string& dropped) const;
  void tell_class(Pair& pair);
  void tell_notes(Pair& pair);
  void plan_reset(Pair& pair);
  void plan_reuse(Pair& pair);
  void plan_sync(Pair& pair);
  void plan_renewed(Pair& pair);
  void take_kind(Pair& pair, KindPlan kind);
  void check_growth(Pair& pair);
  void check_key(Pair& pair);
  void check_engine(Pair& pair);
  void check_sync_form(Pair& pair);
  void tell_renamed();
  void check_dropped();
  void check_moved(const MapSpec& section, const Variable& variable);
  [[nodiscard]] std::vector<std::string> differences(const Pair& pair) const;
  void finish(Pair& pair, Policy policy, std::string reason);
  void refuse(Pair& pair, std::string code, std::string message);
  void warn(const Pair& pair, std::string code, std::string message);
  void lossy(Pair& pair, const std::string& why);

  const GenerationInput& old_;
  const GenerationInput& next_;
  const PlannerEnvironment& env_;
  Plan& plan_;
  std::map<std::string, std::string> continued_ = {};  // old map -> the new map that continues it
};

// The maximum that a generation asks for: the manifest's, else the object's; perf event arrays without one take the CPUs.
[[nodiscard]] uint32_t wanted_entries(const GenerationInput& side, const MapSpec& map, uint32_t possible_cpus);

}  // namespace mapshift::update
