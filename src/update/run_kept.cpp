// SPDX-License-Identifier: Apache-2.0
// "keep_old": at the commit some old maps move aside instead of going with their generation.
#include <algorithm>

#include "base/clock.h"
#include "base/log.h"
#include "kernel/instance_name.h"
#include "update/kept_map.h"
#include "update/map_ability.h"
#include "update/run.h"

namespace mapshift::update {

// May be done already, or in part: it names the same objects again. What cannot be kept is said and goes: the commit stands.
void Run::keep_old_maps() {
  for (const MapPlan& map : input_.plan.maps) {
    const auto rule = input_.new_manifest.maps.find(std::string(base_name(map.name)));
    if (!map.sync || rule == input_.new_manifest.maps.end() || !rule->second.keep_old) continue;
    if (ability_of(map.sync->type1) == MapAbility::kRefilled) continue;  // the plan said so
    Status kept = move_aside(map);
    if (kept) {
      const auto lease = std::chrono::duration_cast<WallTime::duration>(Seconds(*rule->second.keep_old));
      kept = journal_.keep({input_.record.module, map.name, input_.plan.to.generation,
                            format_time(std::chrono::system_clock::now() + lease), *map.sync});
    }
    if (kept) continue;
    warn("not-kept", "maps." + map.name, "the old map is not kept for those who hold it: " + kept.error().message);
    if (Status gone = kernel_.remove_tree(paths_.kept(map.name)); !gone) {
      log::error("an old map stays", {{"update_id", input_.record.id}, {"map", map.name}, {"error", gone.error().message}});
    }
  }
}

Status Run::move_aside(const MapPlan& map) {
  MS_TRY(const auto there, kernel_.list(paths_.kept(map.name)));
  if (std::find(there.begin(), there.end(), "old") != there.end()) return {};  // a former agent was further than this
  MS_TRY(const auto base, kernel_.list(paths_.sync(map.name)));
  if (base.empty()) return fail(ErrorCode::kNotFound, "what was reconciled is gone from " + paths_.sync(map.name));
  // The map last: where it is, all of its base is.
  for (const std::string& name : base) MS_CHECK(kernel_.publish(paths_.sync(map.name) + "/" + name, paths_.kept_sync(map.name) + "/" + name));
  return kernel_.publish(paths_.map(input_.plan.from.generation, map.from), paths_.kept_map(map.name));
}

}  // namespace mapshift::update
