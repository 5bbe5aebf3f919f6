// SPDX-License-Identifier: Apache-2.0
#include "update/planner.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernel/instance_name.h"
#include "update/instances.h"
#include "update/names.h"
#include "update/planner_links.h"
#include "update/planner_maps.h"
#include "update/planner_programs.h"
#include "update/planner_together.h"

namespace mapshift::update {

namespace {

constexpr uint64_t kProgramBytes = 16384;  // a page or two of machine code, and what the kernel keeps beside it
constexpr uint64_t kInsnBytes = 32;        // the translated instruction and its machine code

uint64_t plus(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

uint64_t memory_of(const Plan& plan, const GenerationInput& next, const PlannerEnvironment& env) {
  const ObjectSpec& object = next.object;
  const uint64_t loads = std::max<uint64_t>(1, next.manifest.instances.size());
  uint64_t bytes = 0;
  for (const MapPlan& map : plan.maps) {
    const MapSpec* spec = find_map(object, base_name(map.name));
    if (spec != nullptr && map.policy != Policy::kReuse) bytes = plus(bytes, map_memory(*spec, map.max_entries, env.possible_cpus));
    if (map.sync) bytes = plus(bytes, base_memory(*map.sync, env.possible_cpus));
  }
  for (const ProgramSpec& program : object.programs) bytes = plus(bytes, loads * (kProgramBytes + program.code.insns.size() * kInsnBytes));
  return bytes;
}

std::string mebibytes(double bytes) { return fmt::format("{:.1f} MiB", bytes / (1 << 20)); }

void check_memory(const PlannerEnvironment& env, Plan& plan) {
  if (!env.available_memory) return;
  const double needed = static_cast<double>(plan.memory_bytes) * (1 + env.memory_headroom);
  const auto available = static_cast<double>(*env.available_memory);
  if (needed <= available) return;
  plan.refusals.push_back({"memory", "", fmt::format("the update needs about {} ({} and {:.0f} % headroom), and {} are available: free "
                                                     "memory, or make max_entries smaller",
                                                     mebibytes(needed), mebibytes(static_cast<double>(plan.memory_bytes)),
                                                     env.memory_headroom * 100, mebibytes(available))});
}

}  // namespace

Plan make_plan(const GenerationInput& old_side, const GenerationInput& next, const PlannerEnvironment& env) {
  Plan plan;
  plan.module = next.manifest.name;
  plan.from = old_side.ref;
  plan.to = next.ref;
  plan.refusals = env.problems;
  const std::vector<Problem> names = check_names(next.manifest, next.object);
  plan.refusals.insert(plan.refusals.end(), names.begin(), names.end());
  const std::vector<Problem> instances = check_instances(next.manifest, next.object);
  plan.refusals.insert(plan.refusals.end(), instances.begin(), instances.end());
  MapPlanner(old_side, next, env, plan).run();
  if (old_side.manifest.instances.empty() && next.manifest.instances.empty()) {
    plan_programs(old_side, next, env, plan);
  } else {
    expand_maps(old_side, next, plan);
    plan_programs(with_instances(old_side), with_instances(next), env, plan);
    check_moves(plan);
  }
  plan_links(next, plan);
  plan_together(old_side, next, plan);
  for (const std::string& text : next.facts.gave_up)
    plan.warnings.push_back({"analysis-bounded", "programs", fmt::format("the instructions were not followed to the end: {}", text)});
  plan.memory_bytes = memory_of(plan, next, env);
  check_memory(env, plan);
  return plan;
}

UpdateRecord to_record(const Plan& plan) {
  UpdateRecord record;
  record.module = plan.module;
  record.state = State::kPlanned;
  record.from = plan.from;
  record.to = plan.to;
  for (const MapPlan& map : plan.maps) record.maps.push_back(map.record);
  for (const ProgramPlan& program : plan.programs) record.programs.push_back(program.record);
  record.swap = plan.together ? "together" : "in-order";
  if (plan.canary) record.canary = CanaryRecord{0, 0, plan.canary->steps, plan.canary->by == Canary::By::kFlow ? "flow" : "random"};
  record.warnings = plan.warnings;
  record.refusals = plan.refusals;
  return record;
}

}  // namespace mapshift::update
