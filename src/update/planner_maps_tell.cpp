// SPDX-License-Identifier: Apache-2.0
// What a map is for, keys and conversions: the parts of a map's plan that an author has to understand.
#include <fmt/format.h>

#include <utility>

#include "update/map_ability.h"
#include "update/map_transform.h"
#include "update/planner_pair.h"
#include "update/type_change.h"

namespace mapshift::update {

void MapPlanner::tell_class(Pair& pair) {
  const MapAbility ability = ability_of(pair.after->type);
  const bool holds_state = ability == MapAbility::kSync || ability == MapAbility::kRefilled;
  if (constant(pair.after->section) || !holds_state) return;
  if (!pair.klass.doubt.empty())
    warn(pair, "doubtful-class", fmt::format("it is declared to be of class {}, but {}", pair.klass.name, pair.klass.doubt));
  pair.out.record.klass = pair.klass.name;
  pair.out.record.klass_reason = pair.klass.reason;
}

void MapPlanner::tell_notes(Pair& pair) {
  std::vector<std::string>& notes = pair.out.record.notes;
  if (pair.before == nullptr || pair.out.policy == Policy::kReset) return;
  if (const std::string change = describe_change(pair.before->type, pair.after->type); !change.empty()) notes.push_back(change);
  for (const std::string& change : pair.key.changes) notes.push_back("key: " + change);
  if (pair.epoch0 != 0 || pair.epoch1 != 0)
    notes.push_back(pair.epoch0 == pair.epoch1 ? fmt::format("epoch {} in both generations", pair.epoch1)
                                               : fmt::format("epoch {} becomes {}", pair.epoch0, pair.epoch1));
  if (pair.out.policy == Policy::kReuse) {
    if (pair.rule.keep_old) notes.emplace_back("keep_old has nothing to do: both generations use the same map");
    return;
  }
  notes.insert(notes.end(), pair.value.notes.begin(), pair.value.notes.end());
  if (pair.rule.on_delete == OnDelete::kKeepDelta)
    notes.emplace_back("a key that is deleted while its other side still counted comes back with what had not moved yet (on_delete keep_delta)");
  if (pair.rule.keep_old && ability_of(pair.after->type) == MapAbility::kRefilled)
    warn(pair, "not-kept", "a map of maps is not kept after the commit: leave \"keep_old\" out");
  else if (pair.rule.keep_old)
    notes.push_back(fmt::format("after the commit the old map stays in step for {:g} s, for who holds it open", *pair.rule.keep_old));
}

void MapPlanner::plan_transform(Pair& pair, const SchemaRequest& request) {
  const bool identical = pair.value.identical && pair.epoch0 == pair.epoch1;
  const bool sync = pair.rule.policy == Policy::kAuto || pair.rule.policy == Policy::kSync;
  if (!sync || !transform_pending(rule_of(old_, pair.before->name), pair.rule, identical)) return;
  if (!is_walked(pair.after->type))
    return refuse(pair, "transform", fmt::format("values of a {} map are not converted by functions: remove \"transform\"", to_string(pair.after->type)));
  pair.transform = true;
  if (identical)
    warn(pair, "same-layout", fmt::format("its values have the new layout and epoch already, and {}() converts them nevertheless: where the running generation's "
                                          "values need no conversion leave \"transform\" out; where their meaning changes say another \"epoch\"", pair.rule.transform_up));
  SchemaDiff as_is = std::exchange(pair.value, diff_transformed(request, pair.rule, next_.object));
  pair.value.identical = as_is.identical;
  pair.value.differences = std::move(as_is.differences);
  if (!pair.rule.transform_with.empty()) plan_second(pair);
  if (!is_array(pair.after->type) || pair.value.defaults.empty()) return;
  // Its elements are there from the start, and the engine fills in defaults after it converted them.
  pair.value.defaults.clear();
  warn(pair, "unused-default", "elements of an array that a function converts get no defaults: write them in the function");
}

void MapPlanner::check_key(Pair& pair) {
  if (!pair.key.refusals.empty()) {
    plan_.refusals.insert(plan_.refusals.end(), pair.key.refusals.begin(), pair.key.refusals.end());
    return finish(pair, Policy::kRefuse, pair.key.refusals.front().message);
  }
  if (!is_walked(pair.after->type))
    return refuse(pair, "key-changed", fmt::format("{}: keys of a {} map are not converted, keep their layout", pair.key.reason,
                                                   to_string(pair.after->type)));
  if (!pair.key.may_meet.empty())
    refuse(pair, "key-changed", fmt::format("of the key {}, so that two old keys could become one, and the sync engine never lets keys meet: keep the "
                                            "key's fields, or say \"policy\": \"reset\"", pair.key.may_meet));
  if (pair.key.no_way_back.empty()) return;
  const std::string what = fmt::format("{} have no place in the old map: a rollback loses them", pair.key.no_way_back);
  if (pair.key.loses_back) return lossy(pair, what);
  warn(pair, "key-widened", what);
}

// What the engine would refuse when it is opened, a plan refuses before anything is loaded.
void MapPlanner::check_engine(Pair& pair) {
  if (!env_.engine) return;
  const Status served = env_.engine(*pair.out.sync);
  if (served) return;
  pair.out.sync.reset();
  refuse(pair, "not-served", served.error().message);
}

}  // namespace mapshift::update
