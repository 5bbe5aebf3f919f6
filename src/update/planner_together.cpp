// SPDX-License-Identifier: Apache-2.0
#include "update/planner_together.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernel/instance_name.h"
#include "update/counter.h"

namespace mapshift::update {
namespace {

using Swap = ProgramPlan::Swap;

bool moves(const ProgramPlan& program) { return program.swap != Swap::kNone; }

// Hooks whose events are packets, so that a dispatcher can tell their flow.
bool has_flows(const AttachSpec& attach) {
  return attach.type == "xdp" || attach.type == "tcx" || attach.type == "netkit" ||
         (attach.type == "cgroup" && attach.hook.starts_with("skb_"));
}

std::string others(const Plan& plan, const ProgramPlan& self) {
  constexpr int kNamed = 3;
  std::string text;
  int count = 0;
  for (const ProgramPlan& program : plan.programs) {
    if (!moves(program) || program.name == self.name) continue;
    if (++count <= kNamed) text += (text.empty() ? "" : ", ") + program.name;
  }
  return count > kNamed ? fmt::format("{} and {} more", text, count - kNamed) : text;
}

void plan_hook(const Plan& plan, ProgramPlan& program) {
  const std::string company = others(plan, program);
  const std::string with = company.empty() ? "" : fmt::format(" together with {}", company);
  if (!moves(program)) return;
  program.record.order = 1;
  switch (program.swap) {
    case Swap::kNone: return;
    case Swap::kNative:
      program.record.swap = "dispatcher";
      program.record.reason = fmt::format("put behind a dispatcher first; moves{} by one store", with);
      return;
    case Swap::kDispatcher: program.record.reason = fmt::format("moves{} by one store", with); return;
    case Swap::kOverlap: return;
    case Swap::kAttach: program.record.reason = fmt::format("attached empty first; begins{} with one store", with); return;
    case Swap::kDetach: program.record.reason = fmt::format("ends{} with one store; detached with the old generation", with); return;
  }
}

// No dispatcher can hold them; an attachment of the kind is a new program's, too.
void check_overlaps(Plan& plan) {
  for (const ProgramPlan& program : plan.programs) {
    if (!moves(program) || !program.attach.trace.overlap) continue;
    plan.refusals.push_back({"overlap-together", "programs." + program.name, fmt::format("{} may sleep, so no dispatcher can call it, and it cannot move "
                                                                                         "together with others: leave \"swap\": \"together\" out", program.name)});
  }
}

void check_flows(Plan& plan) {
  for (const ProgramPlan& program : plan.programs) {
    if (!moves(program) || has_flows(program.attach)) continue;
    plan.refusals.push_back({"no-flow", "canary.by", fmt::format("\"flow\" needs packets, and {} runs at a hook of type {}: use \"random\"",
                                                                 program.name, program.attach.type)});
  }
}

bool deletes(const GenerationInput& side, const std::string& map) {
  return std::any_of(side.facts.maps.begin(), side.facts.maps.end(),
                     [&](const MapAccess& access) { return access.map == map && access.deletes; });
}

// During a canary both generations write, and both sides are reconciled by passes.
void warn_of_both(const GenerationInput& old_side, Plan& plan) {
  for (const MapPlan& map : plan.maps) {
    if (!map.sync) continue;
    std::string latest;
    for (const FieldRecord& field : map.record.fields) {
      if (field.merge == "latest" && !field.from.empty() && !field.name.empty()) latest += (latest.empty() ? "" : ", ") + field.name;
    }
    const std::string where = "maps." + map.name;
    if (!latest.empty()) {
      plan.warnings.push_back({"canary-latest", where,
                               fmt::format("both generations write it during the canary: where both wrote {} of a key between two passes, "
                                           "the running generation's value stays, and a conflict is counted", latest)});
    }
    if (!map.sync->keep_delta && deletes(old_side, std::string(base_name(map.from)))) {
      plan.warnings.push_back({"canary-deletes", where,
                               "the running programs delete keys: what the new generation counted for a key since the last pass goes with the "
                               "running generation's deletion, counted; \"on_delete\": \"keep_delta\" keeps it"});
    }
  }
}

// The map of a counter that shows what both generations count; empty: it shows the new one alone.
std::string mixed_map(const ObjectSpec& next, const std::string& path, const Plan& plan) {
  if (path.empty()) return {};
  const auto counter = find_counter(next, path);
  if (!counter) return {};  // refused elsewhere
  const bool mixed = std::ranges::any_of(plan.maps, [&](const MapPlan& map) {
    return (map.name == counter->map || base_name(map.name) == counter->map) && !map.from.empty() && (map.sync || map.policy == Policy::kReuse);
  });
  return mixed ? counter->map : std::string();
}

}  // namespace

std::vector<Problem> mixed_objectives(const slo::Analysis& analysis, const ObjectSpec& next, const Plan& plan) {
  std::vector<Problem> out;
  if (!plan.canary || plan.from.generation == 0) return out;
  if (analysis.bake == std::chrono::nanoseconds(0) && plan.canary->step_seconds == 0) return out;  // nothing is judged
  for (const slo::Objective& objective : analysis.objectives) {
    if (objective.indicator != slo::Indicator::kMap) continue;
    std::string map;
    for (const std::string* path : {&objective.counter, &objective.ratio_num, &objective.ratio_den})
      if (map.empty()) map = mixed_map(next, *path, plan);
    if (map.empty()) continue;
    out.push_back({"canary-mixed", "analysis.objectives." + objective.name,
                   fmt::format("both generations count into {} during the canary, so that it shows them together: at a share of {:g} % a fault "
                               "of the new one weighs that little, and one of the old one counts as well. It tells them apart in the bake only; during the canary "
                               "the indicators verdict and program do, and a map with \"policy\": \"reset\"", map, plan.canary->steps.front() * 100)});
  }
  return out;
}

void plan_together(const GenerationInput& old_side, const GenerationInput& next, Plan& plan) {
  plan.together = next.manifest.swap == SwapTogether::kTogether;
  if (!plan.together) return;
  for (ProgramPlan& program : plan.programs) plan_hook(plan, program);
  check_overlaps(plan);
  plan.canary = next.manifest.canary;
  if (!plan.canary || plan.from.generation == 0) return;
  if (plan.canary->by == Canary::By::kFlow) check_flows(plan);
  warn_of_both(old_side, plan);
}

}  // namespace mapshift::update
