// SPDX-License-Identifier: Apache-2.0
// A map that is built of two maps of the old generation: "transform": {"with": …}.
#include <fmt/format.h>

#include <algorithm>

#include "update/names.h"
#include "update/planner_pair.h"
#include "update/schema_diff_layout.h"

namespace mapshift::update {

namespace {

constexpr uint32_t kReadOnlyProgram = 1U << 7, kWriteOnlyProgram = 1U << 8;  // BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG

bool can_be_second(const MapSpec& map) {
  const bool served = map.type == MapType::kHash || map.type == MapType::kLruHash || map.type == MapType::kArray;
  return served && map.section == DataSection::kNone && (map.flags & kWriteOnlyProgram) == 0;
}

std::string writer_of(const CodeFacts& facts, const std::string& map) {
  const auto writes = [&map](const MapAccess& access) { return access.map == map && (access.updates || access.deletes || access.writes_value); };
  const auto found = std::ranges::find_if(facts.maps, writes);
  return found == facts.maps.end() ? "" : found->program;
}

}  // namespace

void MapPlanner::plan_second(Pair& pair) {
  const MapRule& rule = pair.rule;
  const MapSpec* map = find_map(old_.object, rule.transform_with);
  const std::string where = pair.where + ".transform.with";
  if (map == nullptr) {
    pair.value.refusals.push_back(unknown_name("map", rule.transform_with, "the old generation", where, map_names(old_.object)));
    return;
  }
  const auto no = [&](std::string message) { pair.value.refusals.push_back({"transform", where, std::move(message)}); };
  if (map->name == pair.before->name) no(fmt::format("{} is the map that is converted: name another one, or leave \"with\" out", map->name));
  if (!can_be_second(*map))
    no(fmt::format("{} ({}) cannot be looked at by a conversion: a hash, an LRU hash or an array that programs may read can", map->name, to_string(map->type)));
  if (rule.keep_old)
    no(fmt::format("a map that is built of two cannot be kept in step after the commit, when {} is gone: remove \"keep_old\"", map->name));
  const std::string &key = rule.transform_with_key, &down = rule.transform_with_down;
  if (!key.empty() && (key == rule.transform_up || key == rule.transform_down || key == down))
    no(fmt::format("{} computes a key and cannot convert values as well: name a function by MS_TRANSFORM_KEY", key));
  if (!down.empty() && (down == rule.transform_up || down == rule.transform_down))
    no(fmt::format("{} makes values of {} and cannot make others as well: name another function by MS_TRANSFORM", down, map->name));
  const bool same = diff_keys({pair.before->key, pair.before->key_size}, {map->key, map->key_size}).same;
  if (!down.empty() && (map->flags & kReadOnlyProgram) != 0)
    no(fmt::format("no program may write {}, its flags say: remove \"with_down\"", map->name));
  if (!key.empty() && !down.empty())
    no(fmt::format("{}() gives {} to several keys, so that {}() cannot say what goes back to it: remove \"with_down\", or \"with_key\"", key, map->name, down));
  if (key.empty() && !same)
    no(fmt::format("the keys of {} and {} differ: name a function that computes the one of the other (\"with_key\", MS_TRANSFORM_KEY)",
                   pair.before->name, map->name));
  const Layout layout = read_layout(map->value, map->value_size, where);
  pair.value.refusals.insert(pair.value.refusals.end(), layout.problems.begin(), layout.problems.end());
  for (const std::string& special : layout.specials) no(fmt::format("{} belongs to the kernel and cannot be looked at", special));
  const int32_t lock = layout.locks.empty() ? -1 : static_cast<int32_t>(layout.locks.front().offset);
  pair.second = SyncSecond{map->name, key, map->type, map->key_size, map->value_size, lock, down};
  pair.value.notes.push_back(
      key.empty()
          ? fmt::format("each value is built of {} and of what {} has under the same key", pair.before->name, map->name)
          : fmt::format("each value is built of {} and of what {} has under the key that {}() computes", pair.before->name, map->name, key));
  pair.value.notes.push_back(fmt::format("a change or deletion in {} changes the new value, a key that only it has makes none{}", map->name,
                                         is_lru(map->type) ? ", and what it evicts counts as deleted" : ""));
  if (down.empty()) pair.value.notes.push_back(fmt::format("{} is only read: nothing goes back to it", map->name));
  else pair.value.notes.push_back(fmt::format("what is written to the new map goes back to {} by {}(), and a deletion, too", map->name, down));
}

// What only the plans of all maps tell.
void MapPlanner::check_seconds() {
  for (MapPlan& map : plan_.maps) {
    const SyncSecond* second = map.second();
    if (second == nullptr) continue;
    const std::string where = "maps." + map.name, name = second->map;
    const auto next = std::ranges::find(plan_.maps, name, &MapPlan::from);
    const bool goes_on = next != plan_.maps.end() && (next->policy == Policy::kReuse || next->policy == Policy::kSync);
    if (!goes_on && !second->down.empty()) continue;
    if (!goes_on) {
      const std::string why = fmt::format("what the new generation changes of that which came from {} has no way back there: a rollback loses it", name);
      map.record.lossy = plan_.lossy = true;
      plan_.warnings.push_back({"lossy", where, why});
      continue;
    }
    const std::string writer = writer_of(next_.facts, next->name);
    if (writer.empty()) {
      map.record.notes.push_back(fmt::format("{} goes on in {}: what user space writes there reaches this map until the commit, and not after it", name, next->name));
      continue;
    }
    plan_.refusals.push_back({"transform", where + ".transform.with",
                              fmt::format("{} writes {}, which goes on in the new generation: each of its changes would come back here as one of the old "
                                          "generation; leave it out of the new object, or say \"policy\": \"reset\" of it", writer, next->name)});
  }
}

// With a map that is not in the new generation.
std::string MapPlanner::what_goes(const std::string& dropped) const {
  const auto heir = std::ranges::find_if(plan_.maps, [&](const MapPlan& map) { return map.second() != nullptr && map.second()->map == dropped; });
  return heir == plan_.maps.end() ? "its state" : fmt::format("its state is built into {}, what is not", heir->name);
}

}  // namespace mapshift::update
