// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <algorithm>

namespace mapshift::test {
namespace {

__extension__ using Wide = __int128;

uint64_t cut(Wide v, uint8_t size) {
  const auto raw = static_cast<uint64_t>(v);
  return size == 8 ? raw : raw & ((uint64_t{1} << (8 * size)) - 1);
}

Wide number(uint64_t raw, uint8_t size, bool is_signed) {
  const Wide v = cut(raw, size);
  const Wide half = Wide{1} << (8 * size - 1);
  return is_signed && v >= half ? v - 2 * half : v;
}

Wide top(uint8_t size, bool is_signed) { return (Wide{1} << (8 * size - (is_signed ? 1 : 0))) - 1; }
Wide bottom(uint8_t size, bool is_signed) { return is_signed ? -(Wide{1} << (8 * size - 1)) : Wide{0}; }

uint64_t to1(const SyncField& f, uint64_t x) { return model_carry(x, f.size0, f.signed0, f.size1, f.signed1); }
uint64_t to0(const SyncField& f, uint64_t y) { return model_carry(y, f.size1, f.signed1, f.size0, f.signed0); }

// A counter of `size` bytes moved from `was` to `now`, by less than half of its range.
Wide moved(uint64_t now, uint64_t was, uint8_t size) { return number(now - was, size, true); }

// Sums saturate on their way into a narrower new field, and wrap everywhere else.
uint64_t added(const SyncField& f, uint64_t y, Wide delta) {
  if (f.size1 >= f.size0) return cut(number(y, f.size1, f.signed1) + delta, f.size1);
  const Wide sum = number(y, f.size1, f.signed1) + delta;
  return cut(std::clamp(sum, bottom(f.size1, f.signed1), top(f.size1, f.signed1)), f.size1);
}

// Whether a comes after b in the direction that max (min) goes.
bool after(SyncOp op, Wide a, Wide b) { return op == SyncOp::kMax ? a > b : a < b; }

}  // namespace

uint64_t model_carry(uint64_t raw, uint8_t from, bool from_signed, uint8_t to, bool to_signed) {
  return cut(std::clamp(number(raw, from, from_signed), bottom(to, to_signed), top(to, to_signed)), to);
}

void Model::resolve(SyncPhase phase) {
  for (auto& [number, key] : keys_) resolve_key(phase, key);
}

void Model::resolve_key(SyncPhase phase, Key& key) const {
  if (!key.side0 && !key.side1) {
    key = {};
  } else if (phase == SyncPhase::kPrecopy) {
    precopy(key);
  } else if (key.side0 && key.side1) {
    merge(phase, key);
  } else if (!key.base0) {
    make(key, key.side0.has_value());
  } else {
    const bool on1 = key.side1.has_value();
    one_side(on1, on1 == (phase == SyncPhase::kLiveOld), key);
  }
}

void Model::make(Key& key, bool to_side1) const {
  Values& made = (to_side1 ? key.side1 : key.side0).emplace(spec_.fields.size());
  for (size_t i = 0; i < made.size(); ++i) {
    const SyncField& f = spec_.fields[i];
    if (to_side1)
      made[i] = to1(f, (*key.side0)[i]);
    else
      made[i] = f.op == SyncOp::kSum && f.size0 < f.size1 ? cut((*key.side1)[i], f.size0) : to0(f, (*key.side1)[i]);
  }
  key.base0 = key.side0;
  key.base1 = key.side1;
}

void Model::precopy(Key& key) const {
  if (!key.side0) {
    if (key.base0) key = {};
    return;
  }
  if (!key.side1 || !key.base0) {
    make(key, true);
    return;
  }
  for (size_t i = 0; i < spec_.fields.size(); ++i) {
    const SyncField& f = spec_.fields[i];
    const uint64_t x = (*key.side0)[i];
    uint64_t &y = (*key.side1)[i], &bx = (*key.base0)[i];
    if (x == bx) continue;
    y = f.op == SyncOp::kSum ? added(f, y, moved(x, bx, f.size0)) : to1(f, x);
    bx = x;
    (*key.base1)[i] = y;
  }
}

void Model::one_side(bool on1, bool passive_left, Key& key) const {
  Values& left = on1 ? *key.side1 : *key.side0;
  const Values& was = on1 ? *key.base1 : *key.base0;
  bool fell = false, rose = false;
  for (size_t i = 0; i < spec_.fields.size(); ++i) {
    const SyncField& f = spec_.fields[i];
    if (f.op != SyncOp::kSum || left[i] == was[i]) continue;
    (moved(left[i], was[i], on1 ? f.size1 : f.size0) < 0 ? fell : rose) = true;
  }
  const bool evicted = !passive_left && is_lru(on1 ? spec_.type0 : spec_.type1);
  const bool drop = passive_left ? !(spec_.keep_delta && rose && !fell) : left == was && !evicted;
  if (drop) {
    key = {};
    return;
  }
  for (size_t i = 0; i < spec_.fields.size(); ++i) {
    const SyncField& f = spec_.fields[i];
    if (f.op == SyncOp::kSum && !fell && !evicted) left[i] = cut(Wide{left[i]} - Wide{was[i]}, on1 ? f.size1 : f.size0);
  }
  make(key, !on1);
}

void Model::merge_sum(const SyncField& f, Sides s, bool fresh) const {
  const Wide d0 = fresh ? number(s.x, f.size0, f.signed0) : moved(s.x, s.bx, f.size0);
  const Wide d1 = fresh ? number(s.y, f.size1, f.signed1) : moved(s.y, s.by, f.size1);
  if (d0 != 0) s.y = added(f, s.y, d0);
  s.x = cut(Wide{s.x} + d1, f.size0);
}

void Model::merge_join(const SyncField& f, Sides s, bool fresh) const {
  const uint64_t x1 = to1(f, s.x);
  uint64_t next = 0;
  if (!fresh && s.x == s.bx && s.y == s.by) return;
  if (f.op == SyncOp::kOr) {
    const bool lost0 = !fresh && (s.bx & ~s.x) != 0, lost1 = !fresh && (s.by & ~s.y) != 0;
    next = lost0 == lost1 ? x1 | s.y : lost0 ? x1 | (s.y & ~s.by) : s.y | to1(f, s.x & ~s.bx);
  } else {
    const Wide x = number(s.x, f.size0, f.signed0), bx = number(s.bx, f.size0, f.signed0);
    const Wide y = number(s.y, f.size1, f.signed1), by = number(s.by, f.size1, f.signed1), carried = number(x1, f.size1, f.signed1);
    const bool reset0 = !fresh && after(f.op, bx, x), reset1 = !fresh && after(f.op, by, y);
    if (reset0 && !reset1)
      next = s.y != s.by && after(f.op, y, carried) ? s.y : x1;
    else if (reset1 && !reset0)
      next = s.x != s.bx && after(f.op, carried, y) ? x1 : s.y;
    else
      next = after(f.op, carried, y) ? x1 : s.y;
  }
  if (next != x1) s.x = to0(f, next);
  s.y = next;
}

void Model::merge_latest(Key& key, bool new_active, bool fresh) const {
  std::array<bool, 64> changed0{}, changed1{};
  for (size_t i = 0; i < spec_.fields.size(); ++i) {
    const SyncField& f = spec_.fields[i];
    if (f.op != SyncOp::kLatest) continue;
    changed0[f.group] |= fresh || (*key.side0)[i] != (*key.base0)[i];
    changed1[f.group] |= fresh || (*key.side1)[i] != (*key.base1)[i];
  }
  for (size_t i = 0; i < spec_.fields.size(); ++i) {
    const SyncField& f = spec_.fields[i];
    if (f.op != SyncOp::kLatest || (!changed0[f.group] && !changed1[f.group])) continue;
    if (changed0[f.group] && changed1[f.group] ? new_active : changed1[f.group])
      (*key.side0)[i] = to0(f, (*key.side1)[i]);
    else
      (*key.side1)[i] = to1(f, (*key.side0)[i]);
  }
}

void Model::merge(SyncPhase phase, Key& key) const {
  const bool new_active = phase == SyncPhase::kLiveNew, fresh = !key.base0;
  if (fresh) {
    key.base0 = Values(spec_.fields.size());
    key.base1 = Values(spec_.fields.size());
  }
  merge_latest(key, new_active, fresh);
  for (size_t i = 0; i < spec_.fields.size(); ++i) {
    const SyncField& f = spec_.fields[i];
    const Sides s{(*key.side0)[i], (*key.side1)[i], (*key.base0)[i], (*key.base1)[i]};
    if (f.op == SyncOp::kSum) {
      merge_sum(f, s, fresh);
    } else if (f.op == SyncOp::kFirst) {
      if (new_active && (fresh || s.y != s.by)) s.x = to0(f, s.y);
      if (!new_active && (fresh || s.x != s.bx)) s.y = to1(f, s.x);
    } else if (f.op != SyncOp::kLatest) {
      merge_join(f, s, fresh);
    }
  }
  key.base0 = key.side0;
  key.base1 = key.side1;
}

}  // namespace mapshift::test
