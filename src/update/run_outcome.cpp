// SPDX-License-Identifier: Apache-2.0
// Before the old generation goes: is it still true that the new one runs, and is named by its pins? Whoever may change links
// and pins may have done so in the bake. Nothing here keeps a commit from its end: the old generation runs nowhere.
#include <algorithm>

#include "base/log.h"
#include "update/run.h"

namespace mapshift::update {

void Run::look_at_hooks() {
  for (const ProgramPlan& program : input_.plan.programs) {
    const ProgramPlan::Swap swap = swap_of(program);
    if (swap != ProgramPlan::Swap::kNative && swap != ProgramPlan::Swap::kDispatcher && swap != ProgramPlan::Swap::kOverlap) continue;
    const auto gone = kernel_.place_gone(paths_.hook(program.name));
    if (gone && *gone) continue;  // `status` says so
    const std::string from = paths_.program(input_.plan.from.generation, program.name);
    const std::string to = paths_.program(input_.plan.to.generation, program.name);
    const auto side = kernel_.running(hook_of(program), paths_.hook(program.name), from, to);
    if (side && *side == 1) continue;
    const std::string what = side ? paths_.hook(program.name) + " runs " + from : side.error().message;
    log::warn("a hook does not run the generation that is committed", {{"update_id", input_.record.id}, {"program", program.name}, {"found", what}});
    warn("hook-lost", "programs." + program.name,
         "the hook does not run the new generation any more: " + what + "; unload the module and load it again to attach it anew");
  }
}

bool Run::same_map(const std::string& own, const std::string& shown) {
  const auto a = kernel_.map_stats(own), b = kernel_.map_stats(shown);
  return !a || (b && a->id == b->id);
}

// Names of maps that somebody removed or gave to another map come back: clients find the maps by them.
void Run::look_at_maps() {
  const auto own = kernel_.list(paths_.generation(input_.plan.to.generation) + "/maps");
  const auto shown = kernel_.list(paths_.all_published());
  if (!own || !shown) return;
  for (const std::string& map : *own) {
    const bool there = std::ranges::find(*shown, map) != shown->end();
    if (there && same_map(paths_.map(input_.plan.to.generation, map), paths_.published(map))) continue;
    const Status back = kernel_.publish(paths_.map(input_.plan.to.generation, map), paths_.published(map));
    warn("pin-lost", "maps." + map, "somebody " + std::string(there ? "replaced" : "removed") + " the pin " + paths_.published(map) + (back ? "; it was made again" : ": " + back.error().message));
  }
  note_lost_pins(input_.plan.to.generation, *own);
}

// `own`: what is pinned of this generation's maps.
void Run::note_lost_pins(uint64_t generation, const std::vector<std::string>& own) {
  for (const MapPlan& map : input_.plan.maps) {
    const std::string& name = generation == input_.plan.to.generation ? map.name : map.from;
    if (map.policy != Policy::kSync || std::ranges::find(own, name) != own.end()) continue;
    warn("pin-lost", "maps." + name, "somebody removed the pin " + paths_.map(generation, name) +
         ": the programs go on with the map, but nobody else finds it, the next update neither; unload the module and load it again, with an empty map");
  }
}

}  // namespace mapshift::update
