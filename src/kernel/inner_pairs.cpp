// SPDX-License-Identifier: Apache-2.0
#include "kernel/inner_pairs.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "kernel/any_sync.h"
#include "kernel/inner_form.h"
#include "kernel/pin.h"

namespace mapshift {
namespace {

constexpr size_t kMaxPairs = 4096;  // each has a program of its own: some milliseconds, and some 100 KiB

// Of the maps beside this one, which the same generation declares.
std::map<uint32_t, std::string> names_beside(const std::string& outer) {
  const std::string dir = std::filesystem::path(outer).parent_path().string();
  std::map<uint32_t, std::string> names;
  const auto pins = list_pins(dir);
  if (!pins) return names;
  for (const std::string& name : *pins)
    if (const auto map = Map::open(dir + "/" + name); map) names.emplace(map->shape().id, name);
  return names;
}

void add_up(const PassReport& from, PassReport& to) {
  to.keys += from.keys;
  to.added += from.added;
  to.changed += from.changed;
  to.deleted += from.deleted;
  to.conflicts += from.conflicts;
  to.clamped += from.clamped;
  to.undeclared += from.undeclared;
  to.dropped_deltas += from.dropped_deltas;
  to.full0 += from.full0;
  to.full1 += from.full1;
  to.no_key0 += from.no_key0;
  to.no_key1 += from.no_key1;
  to.base_full += from.base_full;
  to.pending += from.pending;
  to.risky += from.risky;
  to.unsafe_wide += from.unsafe_wide;
  to.from_passive += from.from_passive;
  to.hot += from.hot;
}

}  // namespace

Result<std::unique_ptr<InnerPairs>> InnerPairs::open(const SyncSpec& spec, const std::string& outer0, const std::string& outer1,
                                                     const std::string& dir) {
  std::unique_ptr<InnerPairs> pairs(new InnerPairs(spec, dir));
  pairs->names0_ = names_beside(outer0);
  pairs->names1_ = names_beside(outer1);
  for (auto& [id, name] : pairs->names1_)
    if (const auto was = spec.renamed.find(name); was != spec.renamed.end()) name = was->second;
  if (auto form = Map::open(template_pin(outer0)); form) pairs->form0_.emplace(*std::move(form));
  if (auto form = Map::open(template_pin(outer1)); form) pairs->form1_.emplace(*std::move(form));
  MS_CHECK(pairs->take_up());
  return pairs;
}

Status InnerPairs::take_up() {
  MS_TRY(const auto names, list_pins(dir_));
  for (const std::string& name : names)
    if (name.find('_') != std::string::npos) MS_CHECK(take_up_one(name));
  return {};
}

// A pair that was not made to its end has no pin of its maps, or another's ids.
Status InnerPairs::take_up_one(const std::string& name) {
  const std::string path = dir_ + "/" + name;
  const auto map0 = Map::open(path + "/old"), map1 = Map::open(path + "/new");
  Ids ids{};
  const bool named = std::sscanf(name.c_str(), "%u_%u", &ids.first, &ids.second) == 2;
  if (!named || !map0 || !map1 || map0->shape().id != ids.first || map1->shape().id != ids.second) return remove_pins(path);
  Pair pair;
  if (spec_.inner && !declared(ids)) {
    MS_TRY(pair.sync, open_pair(*map0, *map1));
  }
  pairs_.emplace(ids, std::move(pair));
  return {};
}

std::optional<uint32_t> InnerPairs::declared_counterpart(uint32_t id, bool to1) const {
  const Names &mine = to1 ? names0_ : names1_, &others = to1 ? names1_ : names0_;
  const auto name = mine.find(id);
  if (name == mine.end()) return std::nullopt;
  const auto other = std::find_if(others.begin(), others.end(), [&](const auto& entry) { return entry.second == name->second; });
  return other == others.end() ? std::nullopt : std::optional(other->first);
}

bool InnerPairs::declared(Ids ids) const { return declared_counterpart(ids.first, true) == ids.second; }

bool InnerPairs::only_declared_on1(uint32_t id) const { return names1_.contains(id) && !declared_counterpart(id, false); }

Result<Map> InnerPairs::make(const Map& like, bool on1) {
  const auto& form = on1 ? form1_ : form0_;
  if (!form) {
    return fail(ErrorCode::kUnsupported, "the form of the inner maps of the " + std::string(on1 ? "new" : "old") +
                                             " generation is not known any more: unload the module and load it again");
  }
  const SyncSpec& inner = *spec_.inner;
  const uint32_t declared = on1 ? inner.max_entries1 : inner.max_entries0;
  // An array in a map of maps must be as long as the others; a hash may have been made larger for this slot.
  const uint32_t entries = is_array(form->shape().type) ? declared : std::max(declared, like.shape().max_entries);
  return make_like(*form, entries, "an inner map of the " + std::string(on1 ? "new" : "old") + " generation");
}

Result<std::unique_ptr<Sync>> InnerPairs::open_pair(const Map& map0, const Map& map1) const {
  SyncSpec spec = *spec_.inner;
  spec.max_entries0 = map0.shape().max_entries;
  spec.max_entries1 = map1.shape().max_entries;
  const std::string path = folder({map0.shape().id, map1.shape().id});
  return open_any_sync(spec, path + "/old", path + "/new", path);
}

Status InnerPairs::add(const Map& map0, const Map& map1, bool filled_from1) {
  const Ids ids{map0.shape().id, map1.shape().id};
  if (pairs_.contains(ids)) return {};
  if (pairs_.size() >= kMaxPairs) return fail(ErrorCode::kTooLarge, "a map of more than " + std::to_string(kMaxPairs) + " inner maps cannot be carried over");
  const std::string path = folder(ids);
  MS_CHECK(remove_pins(path));
  MS_CHECK(pin(map0.fd(), path + "/old"));
  MS_CHECK(pin(map1.fd(), path + "/new"));
  Pair pair;
  if (spec_.inner && !declared(ids)) {
    MS_TRY(pair.sync, open_pair(map0, map1));
    // Nobody sees the map that was just made: it gets everything before it is put anywhere.
    MS_TRY(const PassReport filled, pair.sync->pass(filled_from1 ? SyncPhase::kLiveNew : SyncPhase::kPrecopy, true));
    if (filled.full0 + filled.full1 != 0) {
      return fail(ErrorCode::kTooLarge, "an inner map of the " + std::string(filled_from1 ? "old" : "new") + " generation is full: raise its max_entries");
    }
  }
  pairs_.emplace(ids, std::move(pair));
  return {};
}

Result<uint32_t> InnerPairs::counterpart(uint32_t id, bool to1) {
  for (const auto& [ids, pair] : pairs_)
    if ((to1 ? ids.first : ids.second) == id) return to1 ? ids.second : ids.first;
  MS_TRY(const Map map, map_by_id(id, "inner map " + std::to_string(id)));
  const auto other = spec_.inner ? declared_counterpart(id, to1) : std::optional(id);
  auto found = other ? map_by_id(*other, "inner map " + std::to_string(*other)) : make(map, to1);
  if (!found) return fail(std::move(found).error());
  MS_CHECK(add(to1 ? map : *found, to1 ? *found : map, !to1));
  return found->shape().id;
}

Result<Map> InnerPairs::open_side(Ids ids, bool side) const { return Map::open(folder(ids) + (side ? "/new" : "/old")); }

Status InnerPairs::pass(SyncPhase phase, bool complete, PassReport& into) {
  for (auto& [ids, pair] : pairs_) {
    if (!pair.sync) continue;
    MS_TRY(const PassReport report, pair.sync->pass(phase, complete));
    add_up(report, into);
  }
  return {};
}

Status InnerPairs::pass_hot(SyncPhase phase, PassReport& into) {
  for (auto& [ids, pair] : pairs_) {
    if (!pair.sync) continue;
    MS_TRY(const PassReport report, pair.sync->pass_hot(phase));
    add_up(report, into);
  }
  return {};
}

Result<VerifyReport> InnerPairs::verify(bool again) {
  VerifyReport all;
  for (auto& [ids, pair] : pairs_) {
    if (!pair.sync) continue;
    MS_TRY(const VerifyReport report, again ? pair.sync->verify_again() : pair.sync->verify());
    all.keys += report.keys;
    all.mismatched += report.mismatched;
  }
  return all;
}

void InnerPairs::enter(SyncPhase phase) {
  for (auto& [ids, pair] : pairs_)
    if (pair.sync) pair.sync->enter(phase);
}

Status InnerPairs::keep_only(const std::set<uint32_t>& used0, const std::set<uint32_t>& used1) {
  for (auto at = pairs_.begin(); at != pairs_.end();) {
    const bool unused = !used0.contains(at->first.first) && !used1.contains(at->first.second);
    if (!unused || !std::exchange(at->second.unused, unused)) {
      at->second.unused = unused;
      ++at;
      continue;
    }
    const std::string path = folder(at->first);
    at = pairs_.erase(at);
    MS_CHECK(remove_pins(path));
  }
  return {};
}

}  // namespace mapshift
