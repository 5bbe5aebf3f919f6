// SPDX-License-Identifier: Apache-2.0
// Loads and stores: which bytes of which map's values are read and written, and how.
#include <fmt/format.h>
#include <linux/bpf.h>

#include <algorithm>
#include <utility>

#include "update/inference.h"
#include "update/inference_walk.h"

namespace mapshift::update::inference {
namespace {

constexpr uint8_t kModeMask = 0xe0;
constexpr uint8_t kLoadImm64 = BPF_LD | BPF_IMM | BPF_DW;
constexpr int64_t kStackBytes = 512;

struct Span {  // the places that an access at a variable offset may touch
  uint32_t offset = 0, stride = 0, end = 0;
};

// `offset`: within the structure.
const Member* member_at(const Type& type, uint32_t offset) {
  for (const auto& member : type.members) {
    const uint32_t begin = member.bit_offset / 8;
    if (member.bit_size == 0 && offset >= begin && offset - begin < member.type->size) return &member;
  }
  return nullptr;
}

// The array that lies at `offset`: the variable part of the offset is its index. The outermost one gives the extent, the
// innermost one the stride.
Span array_at(const Type& value, uint32_t offset, uint32_t size) {
  Span out;
  const Type* type = &value;
  uint32_t begin = 0;
  while (type != nullptr) {
    if (type->kind == TypeKind::kArray && type->element && type->element->size != 0) {
      if (out.stride == 0) {
        out.offset = begin;
        out.end = begin + type->size;
      }
      out.stride = type->element->size;
      begin += (offset - begin) / out.stride * out.stride;
      type = type->element.get();
    } else if (type->kind == TypeKind::kStruct) {
      const Member* member = member_at(*type, offset - begin);
      begin += member != nullptr ? member->bit_offset / 8 : 0;
      type = member != nullptr ? member->type.get() : nullptr;
    } else {
      type = nullptr;
    }
  }
  if (out.stride != 0) out.offset += (offset - out.offset) % out.stride;
  if (out.stride < size) return {};  // wider than an element: not an index into it
  return out;
}

bool writes(AccessKind kind) { return kind != AccessKind::kRead && kind != AccessKind::kFeedsAddress; }

}  // namespace

void Walk::note(const Here& here, uint32_t maps, int64_t offset, uint32_t size, bool variable, const Change& change, uint32_t choices) {
  if (!spend(sets_.members(maps).size())) return;
  const std::vector<int64_t>& few = sets_.choices(variable ? choices : 0);
  for (const uint32_t map : sets_.members(maps)) {
    if (few.empty()) note_at(here, map, offset, size, variable, change);
    for (const int64_t beyond : few) note_at(here, map, offset + beyond, size, false, change);
  }
}

void Walk::note_at(const Here& here, uint32_t map, int64_t offset, uint32_t size, bool variable, const Change& change) {
  const MapSpec& spec = this->spec(map);
  FieldAccess out{.map = index_.maps[map].name,
                  .size = size,
                  .kind = change.kind,
                  .program = program_.name,
                  .insn = here.pc,
                  .function = here.function->spec->name,
                  .locked = change.locked,
                  .clamped = change.clamped,
                  .adds_too = change.adds_too,
                  .atomic = change.atomic};
  const bool inside = offset >= 0 && offset + size <= spec.value_size;
  if (!variable && !inside) return;  // the verifier refuses it
  out.offset = inside ? static_cast<uint32_t>(offset) : 0;
  if (variable) {
    const Span span = inside && spec.value ? array_at(*spec.value, out.offset, size) : Span{};
    out.offset = span.offset;
    out.stride = span.stride == 0 ? 1 : span.stride;
    out.end = span.stride == 0 ? spec.value_size : span.end;
    // Anywhere: no field is only added to then.
    if (span.stride == 0 && writes(change.kind)) out.kind = AccessKind::kStore;
  }
  if (field_count_ >= kMaxAccesses) return give_up("it touches more places than are remembered");
  ++field_count_;
  fields_[uint64_t{here.context} << 32 | here.pc].push_back(std::move(out));
}

// `value` becomes part of an address, a size or a key: where it came from is no plain counter.
void Walk::note_address(const Here& here, const Value& value) {
  if (value.kind != Kind::kLoaded) return;
  note(here, value.maps, value.place.offset, value.place.size, value.variable, {AccessKind::kFeedsAddress}, value.choices);
}

void Walk::load_imm64(const Here& here, State& state) {
  const Insn& insn = here.insn();
  if (insn.code != kLoadImm64) {  // legacy packet access: behaves as a call
    for (uint32_t i = 0; i <= 5; ++i) state.reg(i) = unknown(0);
    return;
  }
  Value out = unknown(here.id());
  const auto& insns = here.function->spec->insns;
  const auto found = here.function->relocs.find(here.pc);
  if (found == here.function->relocs.end()) {
    if (here.pc + 1 < insns.size()) {
      const uint64_t high = static_cast<uint32_t>(insns[here.pc + 1].imm);
      out = constant(static_cast<int64_t>(high << 32 | static_cast<uint32_t>(insn.imm)), here.id());
    }
  } else if (const auto& reloc = *found->second; reloc.kind == Reloc::Kind::kMap || reloc.kind == Reloc::Kind::kVariable) {
    if (const auto map = index_.map_numbers.find(reloc.symbol); map != index_.map_numbers.end()) {
      out.kind = reloc.kind == Reloc::Kind::kMap ? Kind::kMap : Kind::kMapValue;
      out.maps = sets_.of(map->second);
      out.place.offset = reloc.kind == Reloc::Kind::kVariable ? reloc.offset : 0;
      out.place.base = out.element = out.holder = only_element(map->second);
      if (reloc.kind == Reloc::Kind::kMap) out.element = 0;
    }
  } else if (reloc.kind == Reloc::Kind::kCallback) {
    if (const auto function = index_.function_numbers.find(reloc.symbol); function != index_.function_numbers.end()) {
      out.kind = Kind::kFunction;
      out.number = function->second;
    }
  }
  state.reg(insn.dst) = out;
}

void Walk::load(const Here& here, State& state) {
  const Insn& insn = here.insn();
  const Value pointer = state.reg(insn.src);
  const uint32_t width = width_of(insn);
  const int64_t offset = pointer.place.offset + insn.off;
  Value out = unknown(here.id());
  if (pointer.kind == Kind::kMapValue) {
    note(here, pointer.maps, offset, width, pointer.variable, {AccessKind::kRead}, pointer.choices);
    note_read(state, pointer, offset, width);
    out.kind = Kind::kLoaded;
    out.maps = pointer.maps;
    out.place = {pointer.place.base, offset, width};
    out.variable = pointer.variable;
    out.choices = pointer.choices;
  } else if (pointer.kind == Kind::kStack && !pointer.variable && !pointer.also_other && pointer.frame < state.frames.size()) {
    if (const Value* known = state.frames[pointer.frame].load(offset, width)) out = *known;
  }
  state.reg(insn.dst) = out;
}

// How a store of `value` to `place` changes what was there; none when it puts the same back.
std::optional<Walk::Change> Walk::change_of(const State& state, const Place& place, const Value& value) const {
  if (value.kind == Kind::kLoaded && !value.shifted && place.base != 0 && (value.place == place || value.second == place)) {
    switch (value.derived) {
      case Derived::kPure: return std::nullopt;
      case Derived::kAdded: {
        const bool stops = std::any_of(state.limits.begin(), state.limits.end(), [&](const Limit& limit) {
          return limit.place == place && limit.bound == Bound::kBelow;
        });
        return Change{AccessKind::kAddStore, false, value.clamped || stops};
      }
      case Derived::kOred: return Change{AccessKind::kOrStore};
      case Derived::kMax: return Change{AccessKind::kMaxStore};
      case Derived::kMin: return Change{AccessKind::kMinStore};
      case Derived::kMixed: return Change{AccessKind::kStore, false, false, value.partly};
    }
  }
  if (value.bound != Bound::kNone && value.bound_place == place && !value.shifted) {
    return Change{value.bound == Bound::kAbove ? AccessKind::kMaxStore : AccessKind::kMinStore};
  }
  if (value.kind != Kind::kConst) return Change{AccessKind::kStore};
  // `if (n < 10) n = 10` and the forms that compilers make of it: the constants differ by one at most.
  for (const auto& limit : state.limits) {
    if (limit.place != place) continue;
    const int64_t over = value.number - limit.number;
    if (limit.bound == Bound::kBelow && (over == 0 || over == 1)) return Change{AccessKind::kMaxStore};
    if (limit.bound == Bound::kAbove && (over == 0 || over == -1)) return Change{AccessKind::kMinStore};
  }
  return Change{AccessKind::kStore};
}

// What an earlier run left in a per-CPU array matters, when it is read before it is written. A sleepable program may be
// interrupted by another run on its CPU.
void Walk::note_read(const State& state, const Value& pointer, int64_t offset, uint32_t size) {
  const auto& maps = sets_.members(pointer.maps);
  for (const uint32_t map : maps) {
    MapAccess& out = access(map);
    out.reads_value = true;
    const uint32_t whole = spec(map).value_size;
    const int64_t begin = pointer.variable ? 0 : std::max<int64_t>(0, offset);
    const int64_t end = pointer.variable ? whole : std::min<int64_t>(whole, offset + size);
    const bool own = maps.size() == 1 && spec(map).type == MapType::kPercpuArray && !program_.sleepable && pointer.element != 0 &&
                     begin <= end && state.has_written(pointer.element, static_cast<uint32_t>(begin), static_cast<uint32_t>(end));
    if (!own) out.reads_earlier = true;
  }
}

void Walk::note_written(State& state, const Value& pointer, int64_t offset, uint32_t size) {
  const auto& maps = sets_.members(pointer.maps);
  for (const uint32_t map : maps) access(map).writes_value = true;
  const bool exact = maps.size() == 1 && !pointer.variable && !pointer.also_other && offset >= 0;
  if (!exact || spec(maps.front()).type != MapType::kPercpuArray || offset + size > spec(maps.front()).value_size) return;
  state.write(pointer.element, static_cast<uint32_t>(offset), static_cast<uint32_t>(offset) + size);
}

void Walk::store(const Here& here, State& state) {
  const Insn& insn = here.insn();
  const uint32_t width = width_of(insn);
  if (class_of(insn) == BPF_STX && (insn.code & kModeMask) == BPF_ATOMIC) return atomic(here, state);
  const Value pointer = state.reg(insn.dst);
  const Value value = class_of(insn) == BPF_STX ? state.reg(insn.src) : constant(insn.imm, here.id(1));
  const int64_t offset = pointer.place.offset + insn.off;
  if (pointer.kind == Kind::kMapValue) {
    auto change = change_of(state, {pointer.place.base, offset, width}, value);
    if (change) {
      change->locked = state.locked != 0 && state.locked == pointer.holder;
      note(here, pointer.maps, offset, width, pointer.variable, *change, pointer.choices);
    }
    note_written(state, pointer, offset, width);
  }
  const bool exact =
      pointer.kind == Kind::kStack && !pointer.variable && !pointer.also_other && pointer.frame < state.frames.size();
  if (exact) state.frames[pointer.frame].store(offset, width, value);
  else if (pointer.kind == Kind::kStack || pointer.also_other) {
    for (auto& frame : state.frames) frame.cells.clear();
  }
}

void Walk::atomic(const Here& here, State& state) {
  const Insn& insn = here.insn();
  const uint32_t width = width_of(insn);
  const Value pointer = state.reg(insn.dst);
  const int64_t offset = pointer.place.offset + insn.off;
  const bool exchange = insn.imm == BPF_CMPXCHG;
  if (pointer.kind == Kind::kMapValue) {
    const Place place{pointer.place.base, offset, width};
    Change change{AccessKind::kStore};
    if ((insn.imm & ~BPF_FETCH) == BPF_ADD) change.kind = AccessKind::kAtomicAdd;
    if ((insn.imm & ~BPF_FETCH) == BPF_OR) change.kind = AccessKind::kAtomicOr;
    // A compare-and-swap loop does at once whatever it computes.
    if (exchange) change = change_of(state, place, state.reg(insn.src)).value_or(Change{AccessKind::kRead});
    if (exchange && change.kind == AccessKind::kAddStore) change.kind = AccessKind::kAtomicAdd;
    if (exchange && change.kind == AccessKind::kOrStore) change.kind = AccessKind::kAtomicOr;
    change.locked = state.locked != 0 && state.locked == pointer.holder;
    change.atomic = true;
    note(here, pointer.maps, offset, width, pointer.variable, change, pointer.choices);
    note_read(state, pointer, offset, width);  // even where it is not fetched: it counts on from what was there
    note_written(state, pointer, offset, width);
  } else if (pointer.kind == Kind::kStack || pointer.also_other) {
    for (auto& frame : state.frames) frame.cells.clear();
  }
  if ((insn.imm & BPF_FETCH) == 0) return;
  Value old = unknown(here.id());
  if (pointer.kind == Kind::kMapValue) {
    old.kind = Kind::kLoaded;
    old.maps = pointer.maps;
    old.place = {pointer.place.base, offset, width};
    old.variable = pointer.variable;
    old.choices = pointer.choices;
  }
  state.reg(exchange ? 0 : insn.src) = old;
}

// A helper writes `size` bytes at `pointer`, all of them when `whole`; an unknown size reaches as far as it can.
void Walk::write_memory(const Here& here, State& state, const Value& pointer, const Value& size, bool whole) {
  note_address(here, size);
  const bool sized = size.kind == Kind::kConst && size.number >= 0 && size.number <= UINT16_MAX;
  if (pointer.kind == Kind::kMapValue) {
    for (const uint32_t map : sets_.members(pointer.maps)) {
      const int64_t room = std::max<int64_t>(0, spec(map).value_size - pointer.place.offset);
      const auto bytes = static_cast<uint32_t>(sized ? std::min(size.number, room) : room);
      if (bytes != 0) note(here, sets_.of(map), pointer.place.offset, bytes, pointer.variable, {AccessKind::kStore});
    }
    note_written(state, pointer, pointer.place.offset, sized && whole ? static_cast<uint32_t>(size.number) : 0);
  }
  if (pointer.kind != Kind::kStack && !pointer.also_other) return;
  const bool exact =
      pointer.kind == Kind::kStack && !pointer.variable && !pointer.also_other && pointer.frame < state.frames.size();
  if (exact) return state.frames[pointer.frame].forget(pointer.place.offset, sized ? size.number : kStackBytes);
  for (auto& frame : state.frames) frame.cells.clear();
}

// A helper reads `size` bytes at `pointer`, or as many as there are.
void Walk::read_memory(const State& state, const Value& pointer, const Value& size) {
  if (pointer.kind != Kind::kMapValue) return;
  const bool sized = size.kind == Kind::kConst && size.number >= 0 && size.number <= UINT16_MAX;
  note_read(state, pointer, pointer.place.offset, sized ? static_cast<uint32_t>(size.number) : UINT16_MAX);
}

}  // namespace mapshift::update::inference
