// SPDX-License-Identifier: Apache-2.0
#include "update/planner_maps.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "update/map_ability.h"
#include "update/names.h"
#include "update/planner_kinds.h"
#include "update/planner_pair.h"
#include "update/preemption.h"
#include "update/schema_diff_layout.h"
#include "update/schema_diff_section.h"
#include "update/type_change.h"

namespace mapshift::update {

namespace {

// uapi flags of a map that forbid one side to write or read it.
constexpr uint32_t kReadOnly = 1U << 3, kWriteOnly = 1U << 4, kReadOnlyProgram = 1U << 7, kWriteOnlyProgram = 1U << 8;
constexpr uint32_t kMappable = 1U << 10;
constexpr uint32_t kAccessFlags = kReadOnly | kWriteOnly | kReadOnlyProgram | kWriteOnlyProgram;

std::string policy_name(Policy policy) {
  switch (policy) {
    case Policy::kAuto: return "auto";
    case Policy::kReuse: return "reuse";
    case Policy::kSync: return "sync";
    case Policy::kReset: return "reset";
    case Policy::kRefuse: return "refuse";
  }
  return "refuse";
}

// The manifest's word, or what the types say.
int64_t epoch_for(const MapSpec& map, const MapRule& rule) {
  if (rule.epoch) return *rule.epoch;
  const auto both = static_cast<uint64_t>(epoch_of(value_layout(map).type)) + static_cast<uint64_t>(epoch_of(map.key));
  return static_cast<int64_t>(both);
}

}  // namespace

uint32_t wanted_entries(const GenerationInput& side, const MapSpec& map, uint32_t possible_cpus) {
  const MapRule rule = rule_of(side, map.name);
  const uint32_t entries = map.section == DataSection::kNone ? rule.max_entries.value_or(map.max_entries) : map.max_entries;
  return entries == 0 && map.type == MapType::kPerfEventArray ? possible_cpus : entries;
}

void MapPlanner::run() {
  for (const MapSpec& map : next_.object.maps)
    if (!is_change_log(map.name)) plan_map(map);
  tell_renamed();
  check_dropped();
  check_seconds();
}

// A map that the object puts into a map of maps is told from one made at run time by its name.
void MapPlanner::tell_renamed() {
  std::map<std::string, std::string> renamed;
  for (const MapPlan& map : plan_.maps)
    if (!map.from.empty() && map.from != map.name) renamed.emplace(map.name, map.from);
  for (MapPlan& map : plan_.maps)
    if (map.sync && (map.sync->type1 == MapType::kArrayOfMaps || map.sync->type1 == MapType::kHashOfMaps)) map.sync->renamed = renamed;
}

const MapSpec* MapPlanner::find_old(const MapSpec& map, const MapRule& rule) {
  // The old name may be gone because the rename happened in an earlier update.
  if (!rule.from.empty()) {
    if (const MapSpec* found = find_map(old_.object, rule.from)) return found;
    if (const MapSpec* found = find_map(old_.object, map.name)) return found;
    if (first_load()) return nullptr;
    plan_.refusals.push_back(unknown_name("map", rule.from, "the old generation", fmt::format("maps.{}.from", map.name),
                                          map_names(old_.object)));
    return nullptr;
  }
  return find_map(old_.object, map.name);
}

void MapPlanner::plan_map(const MapSpec& map) {
  Pair pair;
  pair.after = &map;
  pair.rule = rule_of(next_, map.name);
  pair.where = "maps." + map.name;
  pair.entries1 = wanted_entries(next_, map, env_.possible_cpus);
  pair.out.name = pair.out.record.name = map.name;
  pair.out.record.type = to_string(map.type);
  pair.out.max_entries = pair.entries1;
  pair.before = find_old(map, pair.rule);
  pair.klass = classify(pair.rule, pair.before, old_.facts, map, next_.facts);
  if (pair.before != nullptr) {
    const auto [claim, fresh] = continued_.emplace(pair.before->name, map.name);
    if (!fresh) {
      refuse(pair, "duplicate-from", fmt::format("{} and {} both continue {} of the old generation: rename one of them", claim->second,
                                                 map.name, pair.before->name));
    } else {
      pair.out.from = pair.out.record.from = pair.before->name;
      pair.entries0 = wanted_entries(old_, *pair.before, env_.possible_cpus);
      plan_pair(pair);
    }
  } else {
    finish(pair, Policy::kReset, constant(map.section) ? "constants belong to the generation" : "new in this generation");
  }
  tell_class(pair);
  tell_notes(pair);
  plan_.maps.push_back(std::move(pair.out));
}

void MapPlanner::plan_pair(Pair& pair) {
  const MapSpec &before = *pair.before, &after = *pair.after;
  if (constant(after.section)) return finish(pair, Policy::kReset, "constants belong to the generation");
  pair.epoch0 = epoch_for(before, rule_of(old_, before.name));
  pair.epoch1 = epoch_for(after, pair.rule);
  SchemaRequest request{.where = pair.where,
                        .old_value = value_layout(before),
                        .new_value = value_layout(after),
                        .rules = pair.rule.fields,
                        .percpu = is_percpu(after.type),
                        .section = after.section != DataSection::kNone,
                        .code_known = old_.facts.gave_up.empty() && next_.facts.gave_up.empty(),
                        .add_up = type_change(before.type, after.type) == TypeChange::kAddUp};
  if (request.percpu) {
    request.preempted = preempted_writer(next_.object, next_.facts, after.name);
    if (request.preempted.empty()) request.preempted = preempted_writer(old_.object, old_.facts, before.name);
  }
  if (env_.infer)
    request.infer = [&](uint32_t offset0, uint32_t size0, uint32_t offset1, uint32_t size1) {
      return env_.infer(old_.facts, before.name, next_.facts, after.name, offset0, size0, offset1, size1);
    };
  pair.value = diff_values(request);
  const bool index = is_array(after.type) && is_array(before.type);
  pair.key = index ? KeyDiff{.same = true}
                   : diff_keys({before.key, before.key_size}, {after.key, after.key_size}, pair.where + ".key", pair.rule.key_fields);
  plan_transform(pair, request);

  if (ability_of(after.type) == MapAbility::kRebuilt && before.type == after.type && pair.rule.policy != Policy::kRefuse)
    return finish(pair, Policy::kReset, "rebuilt from the new generation's programs");
  const bool scratch = pair.rule.klass == "scratch" && pair.rule.policy == Policy::kAuto;
  if (scratch) return finish(pair, Policy::kReset, "scratch: written before it is read in each run");
  switch (pair.rule.policy) {
    case Policy::kAuto:
      if (differences(pair).empty() && pair.epoch0 == pair.epoch1 && !pair.transform) return plan_reuse(pair);
      if (pair.klass.name == "scratch") return finish(pair, Policy::kReset, "scratch: " + pair.klass.reason);
      return ability_of(after.type) == MapAbility::kRenewed && before.type == after.type ? plan_renewed(pair) : plan_sync(pair);
    case Policy::kReuse: return plan_reuse(pair);
    case Policy::kSync: return plan_sync(pair);
    case Policy::kReset: return plan_reset(pair);
    case Policy::kRefuse:
      return refuse(pair, "policy-refuse", fmt::format("the manifest forbids to update {}: its policy is \"refuse\"", after.name));
  }
}

std::vector<std::string> MapPlanner::differences(const Pair& pair) const {
  const MapSpec &before = *pair.before, &after = *pair.after;
  std::vector<std::string> all;
  if (before.type != after.type) all.push_back(fmt::format("the type changed from {} to {}", to_string(before.type), to_string(after.type)));
  if (before.section != after.section) all.emplace_back("it holds global variables in one generation only");
  if (!pair.key.same) all.push_back(pair.key.reason);
  if (!pair.value.identical) all.insert(all.end(), pair.value.differences.begin(), pair.value.differences.end());
  if (pair.entries0 != pair.entries1) all.push_back(fmt::format("max_entries changed from {} to {}", pair.entries0, pair.entries1));
  // libbpf chooses the flags of data sections by what the running kernel can do.
  if (after.section == DataSection::kNone && before.flags != after.flags)
    all.push_back(fmt::format("the flags changed from {:#x} to {:#x}", before.flags, after.flags));
  for (std::string& difference : inner_differences(before, after)) all.push_back(std::move(difference));
  return all;
}

void MapPlanner::plan_reset(Pair& pair) {
  for (const Problem& problem : pair.value.reuse_refusals) plan_.refusals.push_back(problem);
  lossy(pair, "what it holds is lost: its policy is \"reset\"");
  finish(pair, Policy::kReset, "the manifest asks for it");
}

void MapPlanner::plan_reuse(Pair& pair) {
  const std::vector<std::string> all = differences(pair);
  if (!all.empty())
    return refuse(pair, "not-identical", fmt::format("{} cannot be reused: {}", pair.after->name, fmt::join(all, "; ")));
  if (pair.epoch0 != pair.epoch1)
    return refuse(pair, "epoch", fmt::format("{} cannot be reused: its epoch changed from {} to {}, so that its values mean something "
                                             "else; say \"policy\": \"reset\" to start anew", pair.after->name, pair.epoch0, pair.epoch1));
  if (!pair.value.reuse_refusals.empty()) {
    for (const Problem& problem : pair.value.reuse_refusals) plan_.refusals.push_back(problem);
    return finish(pair, Policy::kRefuse, pair.value.reuse_refusals.front().message);
  }
  const bool programs_inside = (pair.after->type == MapType::kDevmap || pair.after->type == MapType::kDevmapHash ||
                                pair.after->type == MapType::kCpumap) && pair.after->value_size > 4;
  if (programs_inside)
    warn(pair, "programs-in-entries", "programs inside its entries stay those of the old generation until the entries are written again");
  finish(pair, Policy::kReuse, pair.value.opaque ? "same sizes; no type information to compare more" : "identical");
}

void MapPlanner::check_sync_form(Pair& pair) {
  const MapSpec &before = *pair.before, &after = *pair.after;
  if (type_change(before.type, after.type) == TypeChange::kRefused) return refuse(pair, "type-changed", describe_change(before.type, after.type));
  if (before.section != after.section)
    return refuse(pair, "type-changed", fmt::format("{} holds global variables in one generation only", after.name));
  if (!is_carried(after.type)) {
    const std::vector<std::string> all = differences(pair);
    const std::string why = all.empty() ? "its policy is \"sync\"" : fmt::format("{}", fmt::join(all, "; "));
    return refuse(pair, "map-type", fmt::format("a {} map is reused when it is identical and cannot be carried over otherwise, since {}: {}",
                                                to_string(after.type), map_kind(after.type).otherwise, why));
  }
  if (pair.epoch0 != pair.epoch1 && !pair.transform)
    refuse(pair, "epoch", fmt::format("its epoch changed from {} to {}, so that its values mean something else: say \"policy\": \"reset\" "
                                      "to start anew, or convert them with a function (\"transform\")", pair.epoch0, pair.epoch1));
  if (!pair.key.same) check_key(pair);
  if (after.key_size > kMaxSyncKeySize)
    refuse(pair, "key-too-large", fmt::format("keys of {} bytes cannot be synchronised: {} is the limit", after.key_size, kMaxSyncKeySize));
  if ((before.flags | after.flags) & kAccessFlags && after.section == DataSection::kNone)
    refuse(pair, "access-flags", "its flags forbid programs or user space to read or write it, so that it cannot be synchronised");
}

void MapPlanner::check_growth(Pair& pair) {
  if (pair.entries1 >= pair.entries0) return;
  const std::string change = fmt::format("max_entries shrinks from {} to {}", pair.entries0, pair.entries1);
  if (is_array(pair.after->type))
    return refuse(pair, "shrink", fmt::format("{}: every element of an array is live", change));
  const auto live = env_.live_entries.find(pair.before->name);
  if (live == env_.live_entries.end())
    return refuse(pair, "shrink", fmt::format("{}, and the number of live keys is not known", change));
  if (live->second > pair.entries1)
    return refuse(pair, "shrink", fmt::format("{}, but {} keys are live: keep at least that many", change, live->second));
  warn(pair, "shrink", fmt::format("{}: {} keys are live now; the update fails before the swap if they outgrow it", change, live->second));
}

void MapPlanner::plan_sync(Pair& pair) {
  finish(pair, Policy::kSync, {});
  check_sync_form(pair);
  const MapSpec &before = *pair.before, &after = *pair.after;
  const bool apart = type_change(before.type, after.type) == TypeChange::kRefused || before.section != after.section;
  if (apart || !is_carried(after.type)) return;
  check_growth(pair);
  SchemaDiff& value = pair.value;
  if (is_moved_whole(after.type, value)) value.refusals.clear();
  plan_.refusals.insert(plan_.refusals.end(), value.refusals.begin(), value.refusals.end());
  plan_.warnings.insert(plan_.warnings.end(), value.warnings.begin(), value.warnings.end());
  if (is_lru(after.type)) warn(pair, "lru", "recency order is lost: the new map evicts as if all keys were equally old");
  if (before.flags & kMappable && after.section == DataSection::kNone)
    warn(pair, "mappable", "user space that has mapped it keeps the old generation's memory: let it map the new one after the swap");
  if (!value.lossy.empty()) lossy(pair, value.lossy);
  pair.out.record.fields = std::move(value.fields);
  std::string reason;
  const auto because = [&](std::string_view why) { reason += fmt::format("{}{}", reason.empty() ? "" : "; ", why); };
  if (before.type != after.type) because(fmt::format("{} becomes {}", to_string(before.type), to_string(after.type)));
  if (!pair.key.same) because("key layout differs");
  if (!value.identical) because("value layout differs");
  if (pair.transform && value.identical) because("its meaning changes");
  if (pair.entries0 != pair.entries1)
    because(fmt::format("max_entries changes from {} to {}", pair.entries0, pair.entries1));
  if (reason.empty() && before.flags != after.flags && after.section == DataSection::kNone) reason = "flags differ";
  if (reason.empty()) reason = "the manifest asks for it";
  const bool refused = pair.out.policy == Policy::kRefuse || !value.refusals.empty();
  if (refused) {
    if (pair.out.policy != Policy::kRefuse) finish(pair, Policy::kRefuse, value.refusals.front().message);
    return;
  }
  finish(pair, Policy::kSync, std::move(reason));
  pair.out.sync = SyncSpec{before.type, after.type, before.key_size, 0, before.value_size, after.value_size, pair.entries0, pair.entries1,
                           std::move(value.ops), std::move(value.defaults), std::move(value.remaps),
                           pair.rule.on_delete == OnDelete::kKeepDelta};
  pair.out.sync->lock0 = value.lock0;
  pair.out.sync->lock1 = value.lock1;
  pair.out.sync->unions = std::move(value.unions);
  if (!pair.key.same) {
    pair.out.sync->key_size1 = after.key_size;
    pair.out.sync->key_fields = std::move(pair.key.fields);
  }
  if (pair.transform) pair.out.sync->transform = SyncTransform{next_.object.path, pair.rule.transform_up, pair.rule.transform_down, pair.second};
  const KindRequest kind{before, after, old_, next_, env_, pair.rule.fields, pair.where};
  take_kind(pair, adapt_to_kind(kind, *pair.out.sync, pair.out.record));
  if (pair.out.sync) check_engine(pair);
}

void MapPlanner::plan_renewed(Pair& pair) {
  finish(pair, Policy::kReset, {});
  const KindRequest kind{*pair.before, *pair.after, old_, next_, env_, pair.rule.fields, pair.where};
  take_kind(pair, renew(kind, pair.out.record));
}

void MapPlanner::take_kind(Pair& pair, KindPlan kind) {
  plan_.warnings.insert(plan_.warnings.end(), kind.warnings.begin(), kind.warnings.end());
  if (kind.loses) pair.out.record.lossy = plan_.lossy = true;
  for (Problem& refusal : kind.refusals) refuse(pair, std::move(refusal.code), std::move(refusal.message));
  if (pair.out.policy == Policy::kRefuse) pair.out.sync.reset();
}

void MapPlanner::check_dropped() {
  for (const MapSpec& map : old_.object.maps) {
    if (continued_.contains(map.name) || constant(map.section) || is_change_log(map.name)) continue;
    plan_.warnings.push_back({"map-dropped", "maps." + map.name,
                              fmt::format("{} is not in the new generation: {} is gone after the commit (a rollback before still has it)",
                                          map.name, what_goes(map.name))});
  }
  for (const MapSpec& map : old_.object.maps)
    if (map.section != DataSection::kNone && !constant(map.section))
      for (const Variable& variable : map.variables) check_moved(map, variable);
}

// An initial value moves a variable from .bss to .data: another map, where it would silently start anew.
void MapPlanner::check_moved(const MapSpec& section, const Variable& variable) {
  const auto continued = continued_.find(section.name);
  for (const MapSpec& map : next_.object.maps) {
    if (map.section == DataSection::kNone || (continued != continued_.end() && continued->second == map.name)) continue;
    const bool there = std::any_of(map.variables.begin(), map.variables.end(),
                                   [&](const Variable& v) { return v.name == variable.name; });
    if (!there) continue;
    plan_.warnings.push_back({"variable-moved", fmt::format("maps.{}.fields.{}", map.name, variable.name),
                              fmt::format("{} moved from {} to {}, so that its value is lost: variables carry over within a section",
                                          variable.name, section.name, map.name)});
    if (constant(map.section)) continue;
    plan_.lossy = true;
    const auto own = std::ranges::find(plan_.maps, map.name, &MapPlan::name);
    if (own == plan_.maps.end()) continue;
    own->record.lossy = true;
    own->record.reason += fmt::format("; {} moved here from {}, and starts anew", variable.name, section.name);
  }
}

void MapPlanner::finish(Pair& pair, Policy policy, std::string reason) {
  pair.out.policy = policy;
  pair.out.record.policy = policy_name(policy);
  pair.out.record.reason = std::move(reason);
}

void MapPlanner::refuse(Pair& pair, std::string code, std::string message) {
  if (pair.out.policy != Policy::kRefuse) finish(pair, Policy::kRefuse, message);
  plan_.refusals.push_back({std::move(code), pair.where, std::move(message)});
}

void MapPlanner::warn(const Pair& pair, std::string code, std::string message) {
  plan_.warnings.push_back({std::move(code), pair.where, std::move(message)});
}

void MapPlanner::lossy(Pair& pair, const std::string& why) {
  pair.out.record.lossy = true;
  plan_.lossy = true;
  warn(pair, "lossy", why);
}

}  // namespace mapshift::update
