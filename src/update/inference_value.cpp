// SPDX-License-Identifier: Apache-2.0
#include "update/inference_value.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <tuple>

namespace mapshift::update::inference {
namespace {

constexpr int64_t kStackBytes = 512;
constexpr size_t kMaxConstants = 4;  // between which a program chooses; beyond, it is any number
constexpr int64_t kMaxConstant = 1 << 29;
constexpr size_t kMaxChoice = 16;  // maps between which one instruction chooses; beyond, it is any map

Derived join_derived(Derived a, Derived b) {
  if (a == b || b == Derived::kPure) return a;
  return a == Derived::kPure ? b : Derived::kMixed;
}

// `pure` is the old value of a place, `other` is known to lie above or below it: together the larger or smaller of both.
bool join_extreme(const Value& pure, const Value& other, Value& out) {
  if (pure.kind != Kind::kLoaded || pure.shifted || other.shifted || other.bound == Bound::kNone ||
      other.bound_place != pure.place)
    return false;
  const auto wanted = other.bound == Bound::kAbove ? Derived::kMax : Derived::kMin;
  if (pure.derived != Derived::kPure && pure.derived != wanted) return false;
  out = pure;
  out.derived = wanted;
  return true;
}

// n = n == MAX ? MAX : n + 1, and n = n + 1 > 99 ? 99 : n + 1, whose constants compilers move by one.
bool join_saturated(const Value& added, const Value& other, Value& out) {
  if (added.kind != Kind::kLoaded || added.derived != Derived::kAdded || added.shifted || other.kind != Kind::kConst) {
    return false;
  }
  const uint64_t mask = added.place.size >= 8 ? ~uint64_t{0} : (uint64_t{1} << (added.place.size * 8)) - 1;
  const bool largest = (static_cast<uint64_t>(other.number) & mask) == mask;
  const bool cap = added.limited == Bound::kBelow && (other.number == added.number || other.number == added.number - 1);
  const bool floor = added.limited == Bound::kAbove && (other.number == added.number || other.number == added.number + 1);
  if (!largest && !cap && !floor) return false;
  out = added;
  out.clamped = true;
  return true;
}

// n = n + 1 > 99 ? 0 : n + 1. Nothing is learnt where `old` is known to be anything already: so that joining ends.
bool join_partly(const Value& old, const Value& next, Value& out) {
  const auto sum = [](const Value& value) {
    return value.kind == Kind::kLoaded && !value.shifted && (value.derived == Derived::kAdded || value.partly);
  };
  const bool first = sum(old) && (next.kind == Kind::kConst || next.kind == Kind::kUnknown) && !next.shifted;
  const bool second = sum(next) && old.kind == Kind::kConst;
  if (!first && !second) return false;
  out = first ? old : next;
  out.derived = Derived::kMixed;
  out.partly = true;
  out.limited = Bound::kNone;
  out.number = 0;
  return true;
}

// A pointer and something that is not the same kind of pointer. Null is what failed lookups give.
Value join_pointer(const Value& pointer, const Value& other) {
  Value out = pointer;
  if (other.is_null()) out.maybe_null = true;
  else out.also_other = true;
  return out;
}

// The offsets that a pointer may have; none when it is any.
std::vector<int64_t> few_offsets(const Value& pointer, const MapSets& sets) {
  if (!pointer.variable) return {pointer.place.offset};
  std::vector<int64_t> out = sets.choices(pointer.choices);
  for (int64_t& offset : out) offset += pointer.place.offset;
  return out;
}

// if (reply) p = &v->bytes_reply; else p = &v->bytes_forward: either, and nothing else.
bool join_few_offsets(const Value& old, const Value& next, uint32_t id, MapSets& sets, Value& out) {
  std::vector<int64_t> all = few_offsets(old, sets), more = few_offsets(next, sets);
  if (all.empty() || more.empty()) return false;
  all.insert(all.end(), more.begin(), more.end());
  const int64_t least = *std::min_element(all.begin(), all.end());
  for (int64_t& offset : all) offset -= least;
  const uint32_t choices = sets.choice(std::move(all));
  if (choices == 0) return false;
  out.choices = choices;
  out.place.offset = least;
  out.variable = true;
  if (old.place.offset != next.place.offset || old.choices != next.choices || old.place.base != next.place.base) out.place.base = id;
  return true;
}

// One of a few constants.
uint32_t join_constants(const Value& old, const Value& next, MapSets& sets) {
  std::vector<int64_t> all;
  for (const Value* value : {&old, &next}) {
    if (value->kind == Kind::kConst) {
      if (value->number < 0 || value->number > kMaxConstant) return 0;
      all.push_back(value->number);
    } else if (value->kind == Kind::kUnknown && value->choices != 0 && !value->shifted) {
      const auto& few = sets.choices(value->choices);
      all.insert(all.end(), few.begin(), few.end());
    } else {
      return 0;
    }
  }
  return sets.choice(std::move(all));
}

void join_offset(const Value& old, const Value& next, uint32_t id, MapSets& sets, Value& out) {
  const bool apart = old.variable != next.variable || old.place.offset != next.place.offset || old.choices != next.choices;
  if (apart && old.kind == Kind::kMapValue && join_few_offsets(old, next, id, sets, out)) return;
  if (apart) out.choices = 0;
  out.variable = old.variable || next.variable;
  if (old.place.base != next.place.base) out.place.base = id;
  if (old.place.offset == next.place.offset) return;
  // A second change means a loop that walks down: give the least offset up at once, so that this ends.
  out.place.offset = old.variable && next.place.offset < old.place.offset ? std::min<int64_t>(0, old.place.offset)
                                                                          : std::min(old.place.offset, next.place.offset);
  if (out.place.offset < -kStackBytes) out.place.offset = -kStackBytes;
  out.variable = true;
  out.place.base = id;
}

Value join_same_kind(const Value& old, const Value& next, uint32_t id, MapSets& sets) {
  Value out = old;
  out.maybe_null = old.maybe_null || next.maybe_null;
  out.also_other = old.also_other || next.also_other;
  switch (old.kind) {
    case Kind::kUnknown: out.choices = join_constants(old, next, sets); return out;
    case Kind::kConst:
      if (old.number == next.number) return out;
      out = unknown(id);
      out.choices = join_constants(old, next, sets);
      return out;
    case Kind::kFunction: return old.number == next.number ? out : unknown(id);
    case Kind::kMap: out.maps = sets.join(old.maps, next.maps); return out;
    case Kind::kStack:
      if (old.frame != next.frame) out.also_other = true;
      join_offset(old, next, id, sets, out);
      return out;
    case Kind::kMapValue:
      out.maps = sets.join(old.maps, next.maps);
      if (old.element != next.element) out.element = 0;
      if (old.holder != next.holder) out.holder = id;
      join_offset(old, next, id, sets, out);
      return out;
    case Kind::kLoaded: {
      const bool alike =
          old.place.offset == next.place.offset && old.place.size == next.place.size && old.variable == next.variable;
      if (!alike) return unknown(id);
      if (old.choices != next.choices) out.choices = 0;
      out.maps = sets.join(old.maps, next.maps);
      if (old.place.base != next.place.base) out.place.base = id;
      out.derived = join_derived(old.derived, next.derived);
      out.clamped = old.clamped || next.clamped;
      out.partly = old.partly || next.partly || (out.derived == Derived::kMixed && (old.derived == Derived::kAdded || next.derived == Derived::kAdded));
      if (old.limited != next.limited || old.number != next.number) {
        out.limited = Bound::kNone;
        out.number = 0;
      }
      if (old.second != next.second) {
        if (old.second.base != 0 && next.second.base != 0) out.derived = Derived::kMixed;
        if (old.second.base == 0) out.second = next.second, out.second_maps = next.second_maps;
      }
      return out;
    }
  }
  return unknown(id);
}

Value join_kinds(const Value& old, const Value& next, uint32_t id, MapSets& sets) {
  Value out;
  if (join_extreme(old, next, out) || join_extreme(next, old, out)) return out;
  if (join_saturated(old, next, out) || join_saturated(next, old, out)) return out;
  if (join_partly(old, next, out)) return out;
  if (old.shifted != next.shifted) return unknown(id);
  if (old.kind == next.kind) return join_same_kind(old, next, id, sets);
  if (old.kind == Kind::kMapValue) return join_pointer(old, next);
  if (next.kind == Kind::kMapValue) return join_pointer(next, old);
  if (old.is_pointer()) return join_pointer(old, next);
  if (next.is_pointer()) return join_pointer(next, old);
  Value out_of_few = unknown(id);
  out_of_few.choices = join_constants(old, next, sets);
  return out_of_few;
}

// n = v ? v->n + 1 : 1. Where a lookup failed on one path only, what that path made is the first value of an entry, and
// what came out of the found entry on the other says how it changes.
struct Absence {
  const std::vector<uint32_t>& old;
  const std::vector<uint32_t>& next;
  MapSets& sets;

  [[nodiscard]] bool covers(const Value& loaded, const Value& first, const std::vector<uint32_t>& here,
                            const std::vector<uint32_t>& there) const {
    if (loaded.kind != Kind::kLoaded || loaded.shifted || first.is_pointer() || first.kind == Kind::kLoaded || here.empty()) {
      return false;
    }
    const auto& maps = sets.members(loaded.maps);
    const auto has = [&](const std::vector<uint32_t>& absent) {
      return std::includes(absent.begin(), absent.end(), maps.begin(), maps.end());
    };
    return has(here) && !has(there);
  }
  Value join_values(const Value& a, const Value& b, uint32_t id) const {
    const Value* kept = covers(a, b, next, old) ? &a : covers(b, a, old, next) ? &b : nullptr;
    if (kept == nullptr) return join(a, b, id, sets);
    Value out = *kept;
    out.id = id;
    out.bound = Bound::kNone;
    return out;
  }
};

bool merge_frame(Frame& old, const Frame& next, uint32_t seed, const Absence& absence) {
  bool changed = false;
  for (uint32_t i = 0; i < old.registers.size(); ++i) {
    const Value joined = absence.join_values(old.registers[i], next.registers[i], mix(seed, i));
    changed = changed || joined != old.registers[i];
    old.registers[i] = joined;
  }
  std::vector<Cell> kept;
  for (const auto& cell : old.cells) {
    const Value* other = next.load(cell.offset, cell.size);
    if (other == nullptr) continue;
    kept.push_back(
        {cell.offset, cell.size,
         absence.join_values(cell.value, *other, mix(seed, 1000U + static_cast<uint32_t>(cell.offset + kStackBytes)))});
  }
  changed = changed || kept != old.cells;
  old.cells = std::move(kept);
  return changed;
}

constexpr size_t kMaxWritten = 32;

// What both paths have written; what there is no room for counts as not written.
bool join_written(std::vector<Written>& old, const std::vector<Written>& next) {
  if (old == next) return false;
  std::vector<Written> out;
  for (const auto& a : old) {
    for (const auto& b : next) {
      const uint32_t begin = std::max(a.begin, b.begin), end = std::min(a.end, b.end);
      if (out.size() < kMaxWritten && a.element == b.element && begin < end) out.push_back({a.element, begin, end});
    }
  }
  const bool changed = out != old;
  old = std::move(out);
  return changed;
}

}  // namespace

void State::write(uint32_t element, uint32_t begin, uint32_t end) {
  if (element == 0 || begin >= end) return;
  Written joined{element, begin, end};
  std::erase_if(written, [&](const Written& other) {
    if (other.element != element || other.end < begin || other.begin > end) return false;
    joined.begin = std::min(joined.begin, other.begin);
    joined.end = std::max(joined.end, other.end);
    return true;
  });
  if (written.size() >= kMaxWritten) return;  // what is forgotten counts as not written
  const auto after = std::find_if(written.begin(), written.end(), [&](const Written& other) {
    return std::tie(other.element, other.begin) > std::tie(joined.element, joined.begin);
  });
  written.insert(after, joined);
}

bool State::has_written(uint32_t element, uint32_t begin, uint32_t end) const {
  return begin >= end || std::any_of(written.begin(), written.end(), [&](const Written& range) {
    return range.element == element && range.begin <= begin && end <= range.end;
  });
}

uint32_t MapSets::intern(std::vector<uint32_t> members) {
  const auto [found, fresh] = known_.try_emplace(members, static_cast<uint32_t>(sets_.size()));
  if (fresh) sets_.push_back(std::move(members));
  return found->second;
}

uint32_t MapSets::choice(std::vector<int64_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  if (numbers.size() < 2 || numbers.size() > kMaxConstants) return 0;
  const auto [found, fresh] = known_choices_.try_emplace(numbers, static_cast<uint32_t>(choices_.size()));
  if (fresh) choices_.push_back(std::move(numbers));
  return found->second;
}

uint32_t MapSets::of(uint32_t map) { return intern({map}); }

uint32_t MapSets::join(uint32_t a, uint32_t b) {
  if (a == b) return a;
  std::vector<uint32_t> out;
  std::set_union(sets_[a].begin(), sets_[a].end(), sets_[b].begin(), sets_[b].end(), std::back_inserter(out));
  if (out.size() > kMaxChoice) {
    out.resize(maps_);
    std::iota(out.begin(), out.end(), 0U);
  }
  return intern(std::move(out));
}

uint32_t mix(uint32_t a, uint32_t b) {
  uint64_t x = (uint64_t{a} << 32 | b) + 0x9e3779b97f4a7c15ULL;  // splitmix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  const auto out = static_cast<uint32_t>(x ^ (x >> 31));
  return out == 0 ? 1 : out;
}

Value unknown(uint32_t id) {
  Value out;
  out.id = id;
  return out;
}

Value constant(int64_t number, uint32_t id) {
  Value out = unknown(id);
  out.kind = Kind::kConst;
  out.number = number;
  return out;
}

Value join(const Value& old, const Value& next, uint32_t id, MapSets& sets) {
  if (old == next) return old;
  Value out = join_kinds(old, next, id, sets);
  out.id = old.id == next.id ? old.id : id;
  const bool same_bound = old.bound == next.bound && old.bound_place == next.bound_place;
  out.bound = same_bound ? old.bound : Bound::kNone;
  out.bound_place = same_bound ? old.bound_place : Place{};
  return out;
}

void Frame::forget(int64_t offset, int64_t size) {
  std::erase_if(cells, [&](const Cell& cell) { return cell.offset < offset + size && cell.offset + cell.size > offset; });
}

void Frame::store(int64_t offset, uint32_t size, const Value& value) {
  forget(offset, size);
  if (offset < -kStackBytes || offset + size > 0) return;  // the verifier refuses it
  const auto after = std::find_if(cells.begin(), cells.end(), [&](const Cell& cell) { return cell.offset > offset; });
  cells.insert(after, {static_cast<int16_t>(offset), static_cast<uint8_t>(size), value});
}

const Value* Frame::load(int64_t offset, uint32_t size) const {
  const auto found =
      std::lower_bound(cells.begin(), cells.end(), offset, [](const Cell& cell, int64_t at) { return cell.offset < at; });
  return found != cells.end() && found->offset == offset && found->size == size ? &found->value : nullptr;
}

size_t State::cost() const {
  size_t out = 0;
  for (const auto& frame : frames) out += 1 + frame.cells.size() / 8;
  return out;
}

bool merge(State& old, const State& next, uint32_t seed, MapSets& sets) {
  bool changed = false;
  const Absence absence{old.absent, next.absent, sets};
  for (uint32_t i = 0; i < old.frames.size() && i < next.frames.size(); ++i) {
    changed = merge_frame(old.frames[i], next.frames[i], mix(seed, 5000 + i), absence) || changed;
  }
  const auto both = [](auto& a, const auto& b) {
    return std::erase_if(a, [&](const auto& x) { return std::find(b.begin(), b.end(), x) == b.end(); }) != 0;
  };
  changed = both(old.absent, next.absent) || changed;
  changed = join_written(old.written, next.written) || changed;
  if (old.locked != 0 && old.locked != next.locked) {
    old.locked = 0;
    changed = true;
  }
  return both(old.limits, next.limits) || changed;
}

}  // namespace mapshift::update::inference
