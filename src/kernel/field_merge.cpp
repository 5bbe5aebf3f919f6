// SPDX-License-Identifier: Apache-2.0
// The rules are those of bpf/sync/merge.h; a test runs both against one model.
#include "kernel/field_merge.h"

#include <algorithm>
#include <cstring>

namespace mapshift {
namespace {

uint8_t size_of(const SyncField& f, bool side) { return side ? f.size1 : f.size0; }
bool signed_of(const SyncField& f, bool side) { return side ? f.signed1 : f.signed0; }

uint64_t cut(uint64_t raw, uint8_t size) { return size >= 8 ? raw : raw & ((uint64_t{1} << (size * 8)) - 1); }

int64_t extended(uint64_t raw, uint8_t size) {
  const unsigned shift = 64 - 8u * size;
  return static_cast<int64_t>(raw << shift) >> shift;
}

uint64_t get(const SyncField& f, const Bytes& value, bool side) {
  uint64_t raw = 0;
  std::memcpy(&raw, value.data() + (side ? f.offset1 : f.offset0), size_of(f, side));  // little endian
  return raw;
}

void put(const SyncField& f, Bytes& value, bool side, uint64_t raw) {
  std::memcpy(value.data() + (side ? f.offset1 : f.offset0), &raw, size_of(f, side));
}

uint64_t largest(uint8_t size, bool is_signed) { return is_signed ? cut(~uint64_t{0}, size) >> 1 : cut(~uint64_t{0}, size); }

// Raw bytes of a scalar as one of the other layout; a value that does not fit becomes the nearest one that does.
uint64_t convert(uint64_t v, const SyncField& f, bool from, bool& clamped) {
  const uint8_t size = size_of(f, from), to = size_of(f, !from);
  const bool is_signed = signed_of(f, from), to_signed = signed_of(f, !from);
  const uint64_t top = largest(to, to_signed);
  if (size == to && is_signed == to_signed) return v;
  if (const int64_t s = extended(v, size); is_signed && s < 0) {
    clamped |= !to_signed || s < -static_cast<int64_t>(top) - 1;
    return to_signed ? cut(static_cast<uint64_t>(std::max(s, -static_cast<int64_t>(top) - 1)), to) : 0;
  }
  clamped |= v > top;
  return std::min(v, top);
}

// What a sum moved by: narrow counters are sign-extended, so that one may wrap or restart.
uint64_t moved_by(const SyncField& f, uint64_t now, uint64_t was, bool side) {
  return static_cast<uint64_t>(extended(now - was, size_of(f, side)));
}

// A delta that goes to a narrower counter of the new layout stops at its end instead of wrapping.
uint64_t fitting(const SyncField& f, uint64_t have, uint64_t delta, bool& clamped) {
  if (f.size1 >= f.size0) return delta;
  constexpr int64_t kFar = int64_t{1} << 62;
  const auto top = static_cast<int64_t>(largest(f.size1, f.signed1));
  const int64_t bottom = f.signed1 ? -top - 1 : 0;
  const int64_t now = f.signed1 ? extended(have, f.size1) : static_cast<int64_t>(have);
  const int64_t sum = now + std::clamp(static_cast<int64_t>(delta), -kFar, kFar);
  if (sum >= bottom && sum <= top) return delta;
  clamped = true;
  return static_cast<uint64_t>((sum > top ? top : bottom) - now);
}

// `a` stands after `b` in the order that the field's merge climbs.
bool beyond(const SyncField& f, uint64_t a, uint64_t b, bool side) {
  const uint8_t size = size_of(f, side);
  const bool greater = signed_of(f, side) ? extended(a, size) > extended(b, size) : a > b;
  return f.op == SyncOp::kMax ? greater : a != b && !greater;
}

bool in_arm(const SyncField& f) { return f.in_union != 0 && f.arm != kDiscriminator; }
bool alive(const SyncField& f, const std::vector<uint8_t>& arms) { return !in_arm(f) || arms[f.in_union - 1u] == f.arm; }
bool switched(const SyncField& f, const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  return in_arm(f) && a[f.in_union - 1u] != b[f.in_union - 1u];
}

}  // namespace

struct FieldMerge::Job {
  Values& now;
  Values before;                         // as they were read
  Values base;                           // zero where nothing was reconciled
  bool fresh = false, active1 = false;
  Arms arms0 = {}, arms1 = {}, arms_base = {};
  uint64_t groups0 = 0, groups1 = 0;     // of kLatest, that changed on each side
  Outcome out = {};

  [[nodiscard]] uint64_t x(const SyncField& f) const { return get(f, before.side0, false); }
  [[nodiscard]] uint64_t y(const SyncField& f) const { return get(f, before.side1, true); }
  [[nodiscard]] uint64_t bx(const SyncField& f) const { return get(f, base.side0, false); }
  [[nodiscard]] uint64_t by(const SyncField& f) const { return get(f, base.side1, true); }
  [[nodiscard]] bool unchanged(const SyncField& f) const { return !fresh && x(f) == bx(f) && y(f) == by(f); }
};

FieldMerge::Arms FieldMerge::arms_of(const Bytes& value, bool side) const {
  Arms out;
  for (const SyncUnion& one : spec_.unions) {
    uint64_t tag = 0;
    std::memcpy(&tag, value.data() + (side ? one.offset1 : one.offset0), side ? one.size1 : one.size0);
    const auto arm = std::find_if(one.values.begin(), one.values.end(), [&](const SyncArm& known) { return (side ? known.value1 : known.value0) == tag; });
    out.push_back(arm == one.values.end() ? uint8_t{0} : arm->arm);
  }
  return out;
}

bool FieldMerge::is_undeclared(const Bytes& value, bool side) const {
  const Arms arms = arms_of(value, side);
  return std::find(arms.begin(), arms.end(), 0) != arms.end();
}

uint64_t FieldMerge::carried(const SyncField& f, uint64_t raw, bool from, bool& clamped) const {
  if (f.zero) return 0;
  if (f.remap >= 0) {
    const int64_t value = signed_of(f, from) ? extended(raw, size_of(f, from)) : static_cast<int64_t>(raw);
    for (const auto& [old_value, new_value] : spec_.remaps[static_cast<size_t>(f.remap)].values)
      if ((from ? new_value : old_value) == value) return cut(static_cast<uint64_t>(from ? old_value : new_value), size_of(f, !from));
  }
  return convert(raw, f, from, clamped);
}

void FieldMerge::set(const SyncField& f, Job& job, bool side, uint64_t raw) const {
  Bytes& value = side ? job.now.side1 : job.now.side0;
  if (get(f, value, side) == cut(raw, size_of(f, side))) return;
  put(f, value, side, raw);
  (side ? job.out.moved0 : job.out.moved1) = true;
}

void FieldMerge::precopy_field(const SyncField& f, Job& job) const {
  if (!alive(f, job.arms0)) return;
  const bool whole = job.fresh || switched(f, job.arms0, job.arms_base);
  if (!whole && job.x(f) == job.bx(f)) return;
  uint64_t next = 0;
  if (f.op == SyncOp::kSum && !whole)
    next = job.y(f) + fitting(f, job.y(f), moved_by(f, job.x(f), job.bx(f), false), job.out.clamped);
  else
    next = carried(f, job.x(f), false, job.out.clamped);
  set(f, job, true, next);
}

void FieldMerge::merge_sum(const SyncField& f, Job& job) const {
  // A first visit carries the whole value, which is no delta: it may be above half of the counter's range.
  const auto delta = [&](uint64_t now, uint64_t was, bool side) {
    if (!job.fresh || signed_of(f, side)) return moved_by(f, now, was, side);
    return size_of(f, !side) < size_of(f, side) && static_cast<int64_t>(now) < 0 ? ~uint64_t{0} >> 1 : now;
  };
  uint64_t d0 = delta(job.x(f), job.bx(f), false);
  const uint64_t d1 = delta(job.y(f), job.by(f), true);
  if (d0 != 0) d0 = fitting(f, job.y(f), d0, job.out.clamped);
  set(f, job, true, job.y(f) + d0);
  set(f, job, false, job.x(f) + d1);
}

void FieldMerge::scan_groups(Job& job) const {
  uint64_t differs = 0;
  for (const SyncField& f : spec_.fields) {
    if (f.op != SyncOp::kLatest || !alive(f, job.arms0) || !alive(f, job.arms1)) continue;
    const bool whole = switched(f, job.arms0, job.arms_base);  // its discriminator tells
    const uint64_t bit = uint64_t{1} << (f.group & 63);
    bool ignored = false;
    if (job.fresh || (!whole && job.x(f) != job.bx(f))) job.groups0 |= bit;
    if (job.fresh || (!whole && job.y(f) != job.by(f))) job.groups1 |= bit;
    if (carried(f, job.x(f), false, ignored) != job.y(f)) differs |= bit;
  }
  job.out.conflict = (job.groups0 & job.groups1 & differs) != 0;
}

void FieldMerge::merge_latest(const SyncField& f, Job& job) const {
  const uint64_t bit = uint64_t{1} << (f.group & 63);
  const bool c0 = (job.groups0 & bit) != 0, c1 = (job.groups1 & bit) != 0;
  if (!c0 && !c1) return;
  if (c0 && c1 ? job.active1 : c1)
    set(f, job, false, carried(f, job.y(f), true, job.out.clamped));
  else
    set(f, job, true, carried(f, job.x(f), false, job.out.clamped));
}

// A field of an arm that one side does not have, or that both took since base, goes where the discriminator goes.
bool FieldMerge::switch_arm(const SyncField& f, Job& job) const {
  const bool alive0 = alive(f, job.arms0), alive1 = alive(f, job.arms1);
  if (!in_arm(f) || (alive0 && alive1 && (job.fresh || !switched(f, job.arms0, job.arms_base)))) return false;
  const uint64_t bit = uint64_t{1} << (f.group & 63);
  const bool c0 = (job.groups0 & bit) != 0, c1 = (job.groups1 & bit) != 0;
  if (c0 && c1 ? job.active1 ? alive1 : alive0 : c1 ? alive1 : alive0) merge_latest(f, job);
  return true;
}

// As side 1 writes it: of both sides, unless one was reset since base: then the reset side wins.
uint64_t FieldMerge::join(const SyncField& f, const Job& job, uint64_t x1) const {
  const uint64_t x = job.x(f), y = job.y(f), bx = job.bx(f), by = job.by(f);
  bool ignored = false;
  if (f.op == SyncOp::kOr) {
    const bool reset0 = !job.fresh && (bx & ~x) != 0, reset1 = !job.fresh && (by & ~y) != 0;
    if (reset0 && !reset1) return x1 | (y & ~by);
    if (reset1 && !reset0) return y | carried(f, x & ~bx, false, ignored);
    return x1 | y;
  }
  const bool reset0 = !job.fresh && beyond(f, bx, x, false), reset1 = !job.fresh && beyond(f, by, y, true);
  if (reset0 && !reset1) return y != by && beyond(f, y, x1, true) ? y : x1;
  if (reset1 && !reset0) return x != bx && beyond(f, x1, y, true) ? x1 : y;
  return beyond(f, x1, y, true) ? x1 : y;
}

void FieldMerge::merge_join(const SyncField& f, Job& job) const {
  if (job.unchanged(f)) return;
  const uint64_t x1 = carried(f, job.x(f), false, job.out.clamped);
  const uint64_t next1 = join(f, job, x1);
  set(f, job, true, next1);
  if (next1 != x1) set(f, job, false, carried(f, next1, true, job.out.clamped));
}

// Written when a key is created, and again only when the active side created it anew.
void FieldMerge::merge_first(const SyncField& f, Job& job) const {
  if (job.unchanged(f)) return;
  if (!job.active1 && (job.fresh || job.x(f) != job.bx(f))) set(f, job, true, carried(f, job.x(f), false, job.out.clamped));
  if (job.active1 && (job.fresh || job.y(f) != job.by(f))) set(f, job, false, carried(f, job.y(f), true, job.out.clamped));
}

FieldMerge::Outcome FieldMerge::merge(SyncPhase phase, Values& now, const Values* base) const {
  Job job{now, now, base != nullptr ? *base : Values{Bytes(now.side0.size()), Bytes(now.side1.size())}};
  job.fresh = base == nullptr;
  job.active1 = phase == SyncPhase::kLiveNew;
  job.arms0 = arms_of(job.before.side0, false);
  job.arms1 = arms_of(job.before.side1, true);
  job.out.undeclared = is_undeclared(now.side0, false) || is_undeclared(now.side1, true);
  job.arms_base = arms_of(job.base.side0, false);
  if (phase == SyncPhase::kPrecopy) {
    for (const SyncField& field : spec_.fields) precopy_field(field, job);
    return job.out;
  }
  scan_groups(job);
  for (const SyncField& field : spec_.fields) {
    if (switch_arm(field, job)) continue;
    switch (field.op) {
      case SyncOp::kSum: merge_sum(field, job); break;
      case SyncOp::kLatest: merge_latest(field, job); break;
      case SyncOp::kFirst: merge_first(field, job); break;
      case SyncOp::kMax:
      case SyncOp::kMin:
      case SyncOp::kOr: merge_join(field, job); break;
    }
  }
  return job.out;
}

Bytes FieldMerge::to_side1(const Bytes& value, bool& clamped) const {
  Bytes out(spec_.value_size1);
  for (const SyncDefault& field : spec_.defaults1) std::memcpy(out.data() + field.offset, &field.value, field.size);
  const Arms arms = arms_of(value, false);
  for (const SyncField& field : spec_.fields)
    if (alive(field, arms)) put(field, out, true, carried(field, get(field, value, false), false, clamped));
  return out;
}

Bytes FieldMerge::to_side0(const Bytes& value, bool& clamped) const {
  Bytes out(spec_.value_size0);
  const Arms arms = arms_of(value, true);
  for (const SyncField& field : spec_.fields) {
    if (!alive(field, arms)) continue;
    const uint64_t y = get(field, value, true);
    // Wrapped where it does not fit, as the old counter itself would have, and as its deltas will.
    const bool wraps = field.op == SyncOp::kSum && field.size0 < field.size1;
    put(field, out, false, wraps ? y : carried(field, y, true, clamped));
  }
  return out;
}

bool FieldMerge::changed(const Bytes& value, const Bytes& base, bool side) const {
  const Arms arms = arms_of(value, side);
  return std::any_of(spec_.fields.begin(), spec_.fields.end(),
                     [&](const SyncField& field) { return alive(field, arms) && get(field, value, side) != get(field, base, side); });
}

FieldMerge::Verdict FieldMerge::judge(const Bytes& value, const Bytes& base, bool side) const {
  Verdict out;
  const Arms arms = arms_of(value, side), before = arms_of(base, side);
  for (const SyncField& field : spec_.fields) {
    if (!alive(field, arms)) continue;
    const uint64_t now = get(field, value, side), was = get(field, base, side);
    if (now == was) continue;
    out.changed = true;
    if (field.op == SyncOp::kSum && !switched(field, arms, before)) (static_cast<int64_t>(moved_by(field, now, was, side)) < 0 ? out.fell : out.rose) = true;
  }
  return out;
}

Bytes FieldMerge::without(Bytes value, const Bytes& base, bool side) const {
  const Arms arms = arms_of(value, side), before = arms_of(base, side);
  for (const SyncField& field : spec_.fields)
    if (field.op == SyncOp::kSum && alive(field, arms) && !switched(field, arms, before)) put(field, value, side, get(field, value, side) - get(field, base, side));
  return value;
}

bool FieldMerge::equal(const Values& values) const {
  const Arms arms0 = arms_of(values.side0, false), arms1 = arms_of(values.side1, true);
  return std::all_of(spec_.fields.begin(), spec_.fields.end(), [&](const SyncField& field) {
    if (!alive(field, arms0) || !alive(field, arms1)) return true;
    const uint64_t x = get(field, values.side0, false), y = get(field, values.side1, true);
    bool clamped = false;
    if (field.op == SyncOp::kFirst) return true;  // each side may have created the key
    if (field.op == SyncOp::kSum) {               // as far as the narrower one can tell
      const uint8_t width = std::min(field.size0, field.size1);
      return cut(x, width) == cut(y, width) || (field.size1 < field.size0 && y == largest(field.size1, field.signed1));
    }
    return carried(field, x, false, clamped) == y || carried(field, y, true, clamped) == x;
  });
}

}  // namespace mapshift
