// SPDX-License-Identifier: Apache-2.0
// Arithmetic, and what comparisons tell about either side of a branch.
#include <linux/bpf.h>

#include <algorithm>
#include <optional>

#include "update/inference_walk.h"

namespace mapshift::update::inference {
namespace {

Value derive(const Value& from, Derived how, uint32_t id) {
  Value out = from;
  out.id = id;
  out.bound = Bound::kNone;
  out.derived = how;
  out.shifted = false;
  out.limited = Bound::kNone;
  out.number = 0;
  out.partly = from.partly && how == Derived::kMixed;
  return out;
}

// Adding to a sum gives a sum, or-ing to an or an or; anything else is a value of its own that still remembers its origin.
Derived after(const Value& value, Derived how) {
  if (value.kind == Kind::kLoaded && !value.shifted && (value.derived == Derived::kPure || value.derived == how)) return how;
  return Derived::kMixed;
}

Value accumulate(const Value& left, const Value& right, Derived how, uint32_t id) {
  const bool left_loaded = left.kind == Kind::kLoaded, right_loaded = right.kind == Kind::kLoaded;
  Value out = derive(left_loaded ? left : right, after(left_loaded ? left : right, how), id);
  if (!left_loaded || !right_loaded) return out;
  const bool doubled = left.place == right.place || left.second == right.place || left.place == right.second;
  if (doubled) out.derived = Derived::kMixed;
  if (out.derived != how) return out;
  if (out.second.base == 0 && right.second.base == 0 && after(right, how) == how) {
    out.second = right.place;  // whichever of both the result is stored to
    out.second_maps = right.maps;
  }
  return out;
}

int64_t narrow(uint64_t number, bool wide) {
  return wide ? static_cast<int64_t>(number) : int64_t{static_cast<uint32_t>(number)};
}

std::optional<int64_t> fold(uint8_t operation, int64_t left, int64_t right, bool wide) {
  const auto a = static_cast<uint64_t>(left), b = static_cast<uint64_t>(right);
  const uint64_t bits = b & (wide ? 63 : 31);
  switch (operation) {
    case BPF_ADD: return narrow(a + b, wide);
    case BPF_SUB: return narrow(a - b, wide);
    case BPF_MUL: return narrow(a * b, wide);
    case BPF_OR: return narrow(a | b, wide);
    case BPF_AND: return narrow(a & b, wide);
    case BPF_XOR: return narrow(a ^ b, wide);
    case BPF_LSH: return narrow(a << bits, wide);
    case BPF_RSH: return narrow((wide ? a : static_cast<uint32_t>(a)) >> bits, wide);
    default: return std::nullopt;
  }
}

// `left OP right` when the jump is taken: is left above right, or below? None for comparisons of another kind.
Bound bound_when_taken(uint8_t operation) {
  switch (operation) {
    case BPF_JGT:
    case BPF_JGE:
    case BPF_JSGT:
    case BPF_JSGE: return Bound::kAbove;
    case BPF_JLT:
    case BPF_JLE:
    case BPF_JSLT:
    case BPF_JSLE: return Bound::kBelow;
    default: return Bound::kNone;
  }
}

Bound opposite(Bound bound) {
  if (bound == Bound::kNone) return bound;
  return bound == Bound::kAbove ? Bound::kBelow : Bound::kAbove;
}

void bound_value(State& state, const Value& value, Bound bound, const Place& place) {
  if (value.id == 0 || value.is_pointer()) return;
  state.each_value([&](Value& copy) {
    if (copy.id != value.id) return;
    copy.bound = bound;
    copy.bound_place = place;
  });
}

constexpr size_t kMaxLimits = 8;

void bound_place(State& state, const Value& loaded, Bound bound, int64_t number) {
  const Limit limit{loaded.place, bound, number};
  const bool known = std::find(state.limits.begin(), state.limits.end(), limit) != state.limits.end();
  if (!known && state.limits.size() < kMaxLimits) state.limits.push_back(limit);
}

// A sum was compared with what may be its limit.
void limit_value(State& state, const Value& sum, Bound bound, int64_t number) {
  if (sum.id == 0 || sum.kind != Kind::kLoaded || sum.derived != Derived::kAdded) return;
  state.each_value([&](Value& copy) {
    if (copy.id != sum.id) return;
    copy.limited = bound;
    copy.number = number;
  });
}

// `left` is now known to be above or below `right`, or equal.
void learn_order(State& state, const Value& left, const Value& right, Bound bound) {
  if (bound == Bound::kNone) return;
  if (right.is_pure()) bound_value(state, left, bound, right.place);
  if (left.is_pure()) bound_value(state, right, opposite(bound), left.place);
  if (left.is_pure() && right.kind == Kind::kConst) bound_place(state, left, bound, right.number);
  if (right.is_pure() && left.kind == Kind::kConst) bound_place(state, right, opposite(bound), left.number);
  if (right.kind == Kind::kConst) limit_value(state, left, bound, right.number);
  if (left.kind == Kind::kConst) limit_value(state, right, opposite(bound), left.number);
}

void learn_null(State& state, const Value& pointer, bool is_null, MapSets& sets) {
  state.each_value([&](Value& copy) {
    if (copy.kind != pointer.kind || copy.id != pointer.id || !copy.maybe_null) return;
    if (is_null) copy = constant(0, copy.id);
    else copy.maybe_null = false;
  });
  if (!is_null || pointer.kind != Kind::kMapValue) return;
  std::vector<uint32_t> out;
  const auto& maps = sets.members(pointer.maps);
  std::set_union(state.absent.begin(), state.absent.end(), maps.begin(), maps.end(), std::back_inserter(out));
  state.absent = std::move(out);
}

}  // namespace

Value Walk::add(const Here& here, const Value& left, const Value& right, bool subtract) {
  const uint32_t id = here.id();
  const bool swap = !left.is_pointer() && right.is_pointer() && !subtract;
  const Value& pointer = swap ? right : left;
  const Value& other = swap ? left : right;
  if (pointer.is_pointer()) {
    if (other.is_pointer() || pointer.kind == Kind::kMap) return unknown(id);
    Value out = pointer;
    out.id = id;
    const bool near = other.kind == Kind::kConst && other.number > -(1 << 29) && other.number < (1 << 29);
    if (near) {
      out.place.offset =
          std::clamp<int64_t>(pointer.place.offset + (subtract ? -other.number : other.number), -(1 << 30), 1 << 30);
      return out;
    }
    note_address(here, other);
    out.choices = 0;
    const bool few = other.kind == Kind::kUnknown && other.choices != 0 && !other.shifted && !subtract && !pointer.variable && pointer.kind == Kind::kMapValue;
    if (few) {
      std::vector<int64_t> offsets = sets_.choices(other.choices);  // sorted
      const int64_t least = offsets.front();
      for (int64_t& offset : offsets) offset -= least;
      out.place.offset += least;
      out.choices = sets_.choice(std::move(offsets));
    }
    out.variable = true;
    out.place.base = id;
    return out;
  }
  if (left.kind == Kind::kLoaded || (right.kind == Kind::kLoaded && !subtract)) {
    if (subtract && right.kind == Kind::kLoaded && right.place == left.place) return derive(left, Derived::kMixed, id);
    if (subtract) return derive(left, after(left, Derived::kAdded), id);
    return accumulate(left, right, Derived::kAdded, id);
  }
  if (right.kind == Kind::kLoaded) return derive(right, Derived::kMixed, id);
  return unknown(id);
}

// One of a few constants and a constant.
std::optional<Value> Walk::combine_few(const Here& here, uint8_t operation, const Value& left, const Value& right, bool wide) {
  if (left.kind != Kind::kUnknown || left.choices == 0 || left.shifted || right.kind != Kind::kConst) return std::nullopt;
  std::vector<int64_t> out;
  for (const int64_t number : sets_.choices(left.choices)) {
    const auto folded = fold(operation, number, right.number, wide);
    if (!folded || *folded < 0 || *folded > (1 << 29)) return std::nullopt;
    out.push_back(*folded);
  }
  if (std::ranges::all_of(out, [&](int64_t number) { return number == out.front(); })) return constant(out.front(), here.id());
  Value value = unknown(here.id());
  value.choices = sets_.choice(std::move(out));
  return value;
}

Value Walk::combine(const Here& here, uint8_t operation, const Value& left, const Value& right, bool wide) {
  const uint32_t id = here.id();
  if (left.kind == Kind::kConst && right.kind == Kind::kConst) {
    const auto folded = fold(operation, left.number, right.number, wide);
    return folded ? constant(*folded, id) : unknown(id);
  }
  if (const auto few = combine_few(here, operation, left, right, wide)) return *few;
  // 32-bit arithmetic keeps all of what it was loaded from only when that is no wider.
  const bool cut =
      !wide && ((left.kind == Kind::kLoaded && left.place.size > 4) || (right.kind == Kind::kLoaded && right.place.size > 4));
  const bool pointers = left.is_pointer() || right.is_pointer();
  if ((operation == BPF_ADD || operation == BPF_SUB) && !cut && (wide || !pointers)) {
    return add(here, left, right, operation == BPF_SUB);
  }
  if (pointers) return unknown(id);
  const bool loaded = left.kind == Kind::kLoaded || right.kind == Kind::kLoaded;
  if (operation == BPF_OR && loaded && !cut) return accumulate(left, right, Derived::kOred, id);
  if (operation == BPF_AND && left.kind == Kind::kLoaded && right.kind == Kind::kConst && left.place.size < 8) {
    const int64_t mask = (int64_t{1} << (left.place.size * 8)) - 1;
    if ((right.number & mask) == mask && !left.shifted) return left;  // clears what was not loaded
  }
  if (loaded) return derive(left.kind == Kind::kLoaded ? left : right, Derived::kMixed, id);
  return unknown(id);
}

void Walk::alu(const Here& here, State& state) {
  const Insn& insn = here.insn();
  const bool wide = class_of(insn) == BPF_ALU64;
  const bool from_register = (insn.code & kSourceRegister) != 0;
  const uint8_t operation = operation_of(insn);
  Value& target = state.reg(insn.dst);
  const int64_t immediate = wide ? int64_t{insn.imm} : int64_t{static_cast<uint32_t>(insn.imm)};
  const Value source = from_register ? state.reg(insn.src) : constant(immediate, here.id(1));
  if (operation == BPF_MOV) {
    const bool sign_extends = insn.off != 0;
    const bool cut = !wide && (source.is_pointer() || (source.kind == Kind::kLoaded && source.place.size > 4));
    if (!sign_extends && !cut) target = source;
    else if (source.kind == Kind::kLoaded) target = derive(source, Derived::kMixed, here.id());
    else target = unknown(here.id());
    if (target.kind == Kind::kConst && !wide) target.number = static_cast<uint32_t>(target.number);
    return;
  }
  if (operation == BPF_NEG || operation == BPF_END) {
    target = target.kind == Kind::kLoaded ? derive(target, Derived::kMixed, here.id()) : unknown(here.id());
    return;
  }
  const bool by_half = wide && !from_register && insn.imm == 32 && !target.is_pointer() && target.kind != Kind::kConst;
  if (by_half && operation == BPF_LSH && !target.shifted) {
    target.shifted = true;
    if (target.kind == Kind::kUnknown) target.choices = 0;
    return;
  }
  if (by_half && (operation == BPF_RSH || operation == BPF_ARSH) && target.shifted) {
    target.shifted = false;
    if (target.kind == Kind::kLoaded && target.place.size > 4) target = derive(target, Derived::kMixed, here.id());
    return;
  }
  target = combine(here, operation, Value(target), source, wide);
}

void Walk::refine(const Here& here, State& taken, State& other) {
  const Insn& insn = here.insn();
  const bool from_register = (insn.code & kSourceRegister) != 0;
  const Value left = taken.reg(insn.dst);
  const Value right = from_register ? taken.reg(insn.src) : constant(insn.imm, here.id(1));
  const uint8_t operation = operation_of(insn);
  if ((operation == BPF_JEQ || operation == BPF_JNE) && left.is_pointer() && left.maybe_null && right.is_null()) {
    learn_null(operation == BPF_JEQ ? taken : other, left, true, sets_);
    learn_null(operation == BPF_JEQ ? other : taken, left, false, sets_);
    return;
  }
  const Bound bound = bound_when_taken(operation);
  learn_order(taken, left, right, bound);
  learn_order(other, left, right, opposite(bound));
}

}  // namespace mapshift::update::inference
