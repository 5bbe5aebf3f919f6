// SPDX-License-Identifier: Apache-2.0
#include "update/planner_links.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernel/instance_name.h"
#include "update/names.h"

namespace mapshift::update {
namespace {

using Swap = ProgramPlan::Swap;

bool is_sockets(MapType type) { return type == MapType::kSockmap || type == MapType::kSockhash; }

void check_map(const GenerationInput& next, const ProgramPlan& program, Plan& plan) {
  const MapSpec* map = find_map(next.object, program.attach.map);
  if (map == nullptr) return;  // said already
  const std::string where = "programs." + program.name + ".attach.map";
  if (program.attach.type == "sockmap" && !is_sockets(map->type)) {
    plan.refusals.push_back({"wrong-map-type", where, fmt::format("{} is a {}, and verdicts hang at a sockmap or sockhash",
        map->name, to_string(map->type))});
    return;
  }
  if (program.attach.type != "sockmap" || program.swap != Swap::kNative) return;
  for (const MapPlan& planned : plan.maps) {
    if (base_name(planned.name) != map->name || planned.policy == Policy::kReuse || planned.policy == Policy::kRefuse) continue;
    plan.refusals.push_back({"map-not-reused", where,
        fmt::format("{} hangs at {}, whose link and sockets stay with the map that is there: the new generation "
                                                                  "has to reuse it", program.name, planned.name)});
    return;
  }
}

// Maps that both generations have their own of, and how long those are kept in step.
void warn_of_sockets(const GenerationInput& next, const ProgramPlan& program, Plan& plan) {
  std::string kept, dropped;
  for (const MapPlan& map : plan.maps) {
    if (!map.sync) continue;
    const auto rule = next.manifest.maps.find(std::string(base_name(map.name)));
    std::string& list = rule != next.manifest.maps.end() && rule->second.keep_old ? kept : dropped;
    list += (list.empty() ? "" : ", ") + map.name;
  }
  const bool ops = program.attach.type == "struct_ops";
  std::string text = fmt::format("{} keep running the old generation's {} after the swap: {}",
      ops ? "connections that are open" : "sockets that are in the map",
                                 ops ? "functions" : "programs", ops ? "until they close" : "until they leave the map");
  if (!kept.empty()) text += fmt::format(". What they do to {} is carried over until the commit, and after it for as long as \"keep_old\" says", kept);
  if (!dropped.empty())
    text += fmt::format(". What they do to {} is carried over until the commit, and not after it: say \"keep_old\", or let the bake outlast them", dropped);
  if (!kept.empty() || !dropped.empty())
    text += ". Where both change a field that is merged as latest, the new generation's value stays. After a rollback what those that began with the new "
            "generation do is not carried over";
  plan.warnings.push_back({"sockets-stay", "programs." + program.name, std::move(text)});
}

}  // namespace

bool sockets_stay(const AttachSpec& attach) { return attach.type == "struct_ops" || attach.type == "sockmap"; }

bool leaves_sockets(const Plan& plan) {
  return std::ranges::any_of(plan.programs, [](const ProgramPlan& program) { return program.swap == Swap::kNative &&
      sockets_stay(program.attach); });
}

void plan_links(const GenerationInput& next, Plan& plan) {
  for (const ProgramPlan& program : plan.programs) {
    if (program.swap == Swap::kNone || program.swap == Swap::kDetach) continue;
    if (!program.attach.map.empty()) check_map(next, program, plan);
    if (program.swap == Swap::kNative && sockets_stay(program.attach)) warn_of_sockets(next, program, plan);
  }
}

}  // namespace mapshift::update
