// SPDX-License-Identifier: Apache-2.0
#include "update/planner_kinds.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "update/inference.h"
#include "update/map_ability.h"

namespace mapshift::update {
namespace {

SchemaDiff diff_inner(const KindRequest& request) {
  const MapSpec &before = *request.before.inner, &after = *request.after.inner;
  SchemaRequest schema{.where = request.where,
                       .old_value = {before.value, before.value_size},
                       .new_value = {after.value, after.value_size},
                       .rules = request.rules,
                       .percpu = is_percpu(after.type),
                       .code_known = request.old_side.facts.gave_up.empty() && request.next.facts.gave_up.empty()};
  if (request.env.infer) {
    schema.infer = [&](uint32_t offset0, uint32_t size0, uint32_t offset1, uint32_t size1) {
      return request.env.infer(request.old_side.facts, inner_name(request.before.name), request.next.facts, inner_name(request.after.name), offset0, size0,
                               offset1, size1);
    };
  }
  return diff_values(schema);
}

KindPlan adapt_trie(const KindRequest& request, MapRecord& record) {
  const bool written = use_of(request.old_side.facts, request.before.name).written() || use_of(request.next.facts, request.after.name).written();
  const bool known = request.old_side.facts.gave_up.empty() && request.next.facts.gave_up.empty();
  for (FieldRecord& field : record.fields) {
    // System calls replace a value as a whole: no field is too wide for that.
    field.exact = known && !written;
    field.reason = field.exact ? "no program writes this trie"
                   : written   ? "a trie's values are read and written by system calls: what a program changes in one at that moment is lost"
                               : "not all instructions were followed: a program may write this trie";
  }
  record.reason += "; kept in step by system calls, since the kernel lets no program walk a trie";
  if (!written) return {};
  return {{{"trie-written", request.where, "programs write this trie: what they change in place while it is synchronised may be lost; let user space write "
                                           "it, or count in a hash map beside it"}}, {}};
}

KindPlan adapt_queue(const KindRequest& request, SyncSpec& spec, MapRecord& record, bool identical) {
  const char* what = request.after.type == MapType::kStack ? "stack" : "queue";
  if (identical) spec.fields.clear();
  for (FieldRecord& field : record.fields) field = {field.name, field.from, field.merge.empty() ? "" : "latest", "default", true, "an element is moved once", field.change, field.when};
  record.lossy = true;
  record.reason += fmt::format("; what waits in the old {} is moved to the new one after the swap, in its order", what);
  return {{{"drained", request.where,
            fmt::format("reading a {} is destructive: a rollback brings back what still waits in the new one, not what was read from it", what)}}, {}};
}

// Tables that only user space fills come by the thousand, and a program for each pair of them takes its time to load.
bool only_by_calls(const KindRequest& request) {
  const MapSpec &before = *request.before.inner, &after = *request.after.inner;
  const bool served = after.type == MapType::kHash || after.type == MapType::kLruHash || after.type == MapType::kLpmTrie ||
                      (after.type == MapType::kArray && before.max_entries == after.max_entries);
  return served && request.old_side.facts.gave_up.empty() && request.next.facts.gave_up.empty() &&
         !use_of(request.old_side.facts, inner_name(request.before.name)).written() && !use_of(request.next.facts, inner_name(request.after.name)).written();
}

std::shared_ptr<const SyncSpec> inner_spec(const KindRequest& request, SchemaDiff& value, bool keep_delta) {
  const MapSpec &before = *request.before.inner, &after = *request.after.inner;
  SyncSpec spec;
  spec.type0 = before.type;
  spec.type1 = after.type;
  spec.key_size = after.key_size;
  spec.value_size0 = before.value_size;
  spec.value_size1 = after.value_size;
  spec.max_entries0 = before.max_entries;
  spec.max_entries1 = after.max_entries;
  spec.fields = std::move(value.ops);
  spec.defaults1 = std::move(value.defaults);
  spec.remaps = std::move(value.remaps);
  spec.lock0 = value.lock0;
  spec.lock1 = value.lock1;
  spec.keep_delta = keep_delta;
  spec.unions = std::move(value.unions);
  spec.by_calls = value.lock0 < 0 && value.lock1 < 0 && only_by_calls(request);
  return std::make_shared<const SyncSpec>(std::move(spec));
}

void check_inner(const KindRequest& request, const SchemaDiff& value, KindPlan& out) {
  const MapSpec &before = *request.before.inner, &after = *request.after.inner;
  const auto refuse = [&](const char* code, std::string message) { out.refusals.push_back({code, request.where, std::move(message)}); };
  if (before.type != after.type)
    refuse("inner-type", fmt::format("its inner maps changed from {} to {}: make that another map", to_string(before.type), to_string(after.type)));
  else if (ability_of(after.type) != MapAbility::kSync)
    refuse("inner-type", fmt::format("its inner maps are of type {}, which must stay as they are: {}", to_string(after.type), map_kind(after.type).otherwise));
  const KeyDiff key = is_array(after.type) ? KeyDiff{true} : diff_keys({before.key, before.key_size}, {after.key, after.key_size});
  if (!key.same) refuse("inner-key", "of its inner maps: " + key.reason);
  if (is_array(after.type) && after.max_entries < before.max_entries)
    refuse("shrink", fmt::format("max_entries of its inner arrays shrinks from {} to {}: every element of an array is live", before.max_entries, after.max_entries));
  out.refusals.insert(out.refusals.end(), value.refusals.begin(), value.refusals.end());
  out.warnings.insert(out.warnings.end(), value.warnings.begin(), value.warnings.end());
  if (value.lossy.empty()) return;
  out.loses = true;
  out.warnings.push_back({"lossy", request.where, value.lossy});
}

KindPlan adapt_outer(const KindRequest& request, SyncSpec& spec, MapRecord& record) {
  KindPlan out;
  spec.fields.clear();
  record.fields.clear();
  if (inner_differences(request.before, request.after).empty()) {
    record.reason += "; the inner maps are put into the new one as they are";
    return out;
  }
  SchemaDiff value = diff_inner(request);
  check_inner(request, value, out);
  record.fields = std::move(value.fields);
  record.reason = fmt::format("{}; each inner map gets a new one that is kept in step, those made at run time as well",
                              fmt::join(inner_differences(request.before, request.after), "; "));
  if (!out.refusals.empty()) return out;
  spec.inner = inner_spec(request, value, spec.keep_delta);
  if (spec.inner->by_calls) record.reason += "; no program writes them, so that system calls keep them in step";
  return out;
}

}  // namespace

bool is_carried(MapType type) {
  switch (ability_of(type)) {
    case MapAbility::kSync:
    case MapAbility::kDrained:
    case MapAbility::kRefilled: return true;
    case MapAbility::kReuseOnly:
    case MapAbility::kRebuilt:
    case MapAbility::kRenewed: return false;
  }
  return false;
}

bool is_moved_whole(MapType type, const SchemaDiff& value) {
  return ability_of(type) == MapAbility::kRefilled || (ability_of(type) == MapAbility::kDrained && value.identical);
}

std::vector<std::string> inner_differences(const MapSpec& before, const MapSpec& after) {
  std::vector<std::string> all;
  if (!before.inner || !after.inner) return all;  // not said: the kernel compares them when one is put in
  const MapSpec &old_form = *before.inner, &new_form = *after.inner;
  const auto compare = [&](const char* what, uint32_t was, uint32_t is) {
    if (was != is) all.push_back(fmt::format("{} of its inner maps changed from {} to {}", what, was, is));
  };
  if (old_form.type != new_form.type)
    all.push_back(fmt::format("the type of its inner maps changed from {} to {}", to_string(old_form.type), to_string(new_form.type)));
  if (const KeyDiff key = diff_keys({old_form.key, old_form.key_size}, {new_form.key, new_form.key_size}); !key.same)
    all.push_back("of its inner maps: " + key.reason);
  const SchemaDiff value = diff_values({"", {old_form.value, old_form.value_size}, {new_form.value, new_form.value_size}});
  for (const std::string& difference : value.differences) all.push_back("of its inner maps: " + difference);
  if (!value.identical && value.differences.empty()) all.emplace_back("the values of its inner maps changed");
  compare("max_entries", old_form.max_entries, new_form.max_entries);
  compare("the flags", old_form.flags, new_form.flags);
  return all;
}

KindPlan adapt_to_kind(const KindRequest& request, SyncSpec& spec, MapRecord& record) {
  const MapType type = request.after.type;
  if (type == MapType::kLpmTrie) return adapt_trie(request, record);
  if (type == MapType::kArrayOfMaps || type == MapType::kHashOfMaps) return adapt_outer(request, spec, record);
  if (type != MapType::kQueue && type != MapType::kStack) return {};
  const SchemaDiff value = diff_values({request.where, {request.before.value, request.before.value_size}, {request.after.value, request.after.value_size}});
  return adapt_queue(request, spec, record, value.identical);
}

KindPlan renew(const KindRequest& request, MapRecord& record) {
  KindPlan out;
  if (request.after.type == MapType::kPerfEventArray) {
    record.reason = "a new one: the process that reads it has to put its events into it";
    out.loses = true;
    out.warnings.push_back({"lossy", request.where, "what programs write is lost from the swap until the process that reads it has put its perf events into the new "
                                                    "map: make it identical, or change to a ring buffer"});
    return out;
  }
  if (request.next.manifest.ringbufs.contains(request.after.name)) {
    record.reason = "a new one: the agent reads what is left in the old one after the swap, then the new one";
    return out;
  }
  record.reason = "a new one: who reads the old one finds in it what was written until the swap";
  out.warnings.push_back({"consumer", request.where, "its consumer has to read the old ring to its end and then to open the pin again; name the ring below \"ringbufs\" to "
                                                     "let the agent read it"});
  return out;
}

}  // namespace mapshift::update
