// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <span>
#include <vector>

#include "kernel/sync_spec.h"

namespace mapshift::oracle {

using Bytes = std::vector<std::byte>;
__extension__ using Wide = __int128;  // wide enough for every scalar and every sum of two

inline uint64_t load(std::span<const std::byte> value, uint32_t offset, uint32_t size) {
  uint64_t raw = 0;
  std::memcpy(&raw, value.data() + offset, size);  // little endian, as the hosts that run this
  return raw;
}
inline void store(Bytes& value, uint32_t offset, uint32_t size, uint64_t raw) { std::memcpy(value.data() + offset, &raw, size); }

inline Wide number(uint64_t raw, uint32_t size, bool is_signed) {
  if (!is_signed) return raw;
  const uint32_t shift = 64 - size * 8;
  return static_cast<int64_t>(raw << shift) >> shift;
}
inline Wide clamp(Wide value, uint32_t size, bool is_signed) {
  const Wide span = Wide{1} << (size * 8 - (is_signed ? 1 : 0));
  const Wide low = is_signed ? -span : Wide{0};
  return value < low ? low : value >= span ? span - 1 : value;
}

// What the state of a key must be, in user space and written from the rules alone: no code is shared with the engine.
struct Oracle {
  struct Merged {
    Bytes value0, value1;
    std::set<uint16_t> conflicts;  // groups of `latest` that changed on both sides
  };

  static Bytes convert01(const SyncSpec& spec, std::span<const std::byte> value0) {
    Bytes out(spec.value_size1);
    for (const SyncDefault& d : spec.defaults1) store(out, d.offset, d.size, d.value);
    for (const SyncField& f : spec.fields) store(out, f.offset1, f.size1, to1(spec, f, load(value0, f.offset0, f.size0)));
    return out;
  }
  static Bytes convert10(const SyncSpec& spec, std::span<const std::byte> value1) {
    Bytes out(spec.value_size0);
    for (const SyncField& f : spec.fields) store(out, f.offset0, f.size0, to0(spec, f, load(value1, f.offset1, f.size1)));
    return out;
  }

  // Both sides moved on from their bases. `active` is the side whose `latest` wins a conflict. Bytes that no field covers
  // stay. Wide fields are merged like all others: that the engine may not write them in place is for the caller to know.
  static Merged merge(const SyncSpec& spec, std::span<const std::byte> base0, std::span<const std::byte> base1,
                      std::span<const std::byte> value0, std::span<const std::byte> value1, int active) {
    Merged out{{value0.begin(), value0.end()}, {value1.begin(), value1.end()}, {}};
    std::set<uint16_t> changed0, changed1;
    for (const SyncField& f : spec.fields) {
      if (f.op != SyncOp::kLatest) continue;
      if (load(value0, f.offset0, f.size0) != load(base0, f.offset0, f.size0)) changed0.insert(f.group);
      if (load(value1, f.offset1, f.size1) != load(base1, f.offset1, f.size1)) changed1.insert(f.group);
    }
    for (const SyncField& f : spec.fields) {
      const Scalars s{load(value0, f.offset0, f.size0), load(value1, f.offset1, f.size1), load(base0, f.offset0, f.size0),
                      load(base1, f.offset1, f.size1)};
      const bool both = changed0.contains(f.group) && changed1.contains(f.group);
      if (f.op == SyncOp::kLatest && both) out.conflicts.insert(f.group);
      bool from1 = active == 1;
      if (f.op == SyncOp::kLatest && !both) from1 = changed1.contains(f.group);
      const auto [next0, next1] = merge_field(spec, f, s, from1);
      store(out.value0, f.offset0, f.size0, next0);
      store(out.value1, f.offset1, f.size1, next1);
    }
    return out;
  }

 private:
  struct Scalars {
    uint64_t x, y, bx, by;  // value and base of side 0 and 1
  };

  static uint64_t convert(uint64_t raw, uint32_t from, bool from_signed, uint32_t to, bool to_signed) {
    if (from == to && from_signed == to_signed) return raw;
    return static_cast<uint64_t>(clamp(number(raw, from, from_signed), to, to_signed));
  }
  static uint64_t to1(const SyncSpec& spec, const SyncField& f, uint64_t x) {
    if (f.remap >= 0)
      for (const auto& [before, after] : spec.remaps[static_cast<size_t>(f.remap)].values)
        if (number(x, f.size0, before < 0) == before) return static_cast<uint64_t>(after);
    return convert(x, f.size0, f.signed0, f.size1, f.signed1);
  }
  static uint64_t to0(const SyncSpec& spec, const SyncField& f, uint64_t y) {
    if (f.remap >= 0)
      for (const auto& [before, after] : spec.remaps[static_cast<size_t>(f.remap)].values)
        if (number(y, f.size1, after < 0) == after) return static_cast<uint64_t>(before);
    return convert(y, f.size1, f.signed1, f.size0, f.signed0);
  }

  static std::pair<uint64_t, uint64_t> merge_field(const SyncSpec& spec, const SyncField& f, const Scalars& s, bool from1) {
    const bool moved0 = s.x != s.bx, moved1 = s.y != s.by;
    if (!moved0 && !moved1) return {s.x, s.y};
    switch (f.op) {
      case SyncOp::kSum: return merge_sum(f, s);
      case SyncOp::kLatest:
      case SyncOp::kFirst:
        if (from1) return {moved1 || f.op == SyncOp::kLatest ? to0(spec, f, s.y) : s.x, s.y};
        return {s.x, moved0 || f.op == SyncOp::kLatest ? to1(spec, f, s.x) : s.y};
      case SyncOp::kMax:
      case SyncOp::kMin:
      case SyncOp::kOr: break;
    }
    const uint64_t joined = join(spec, f, s), x1 = to1(spec, f, s.x);
    return {joined == x1 ? s.x : to0(spec, f, joined), joined};
  }

  static std::pair<uint64_t, uint64_t> merge_sum(const SyncField& f, const Scalars& s) {
    const Wide d0 = number(s.x - s.bx, f.size0, true), d1 = number(s.y - s.by, f.size1, true);
    Wide next1 = number(s.y, f.size1, f.signed1) + d0;
    if (f.size1 < f.size0) next1 = clamp(next1, f.size1, f.signed1);  // else it wraps as the counter itself would
    return {static_cast<uint64_t>(number(s.x, f.size0, f.signed0) + d1), static_cast<uint64_t>(next1)};
  }

  // In the new side's terms. A side that fell behind its own base was reset, and the reset wins; what the other side reached
  // since then still counts.
  static uint64_t join(const SyncSpec& spec, const SyncField& f, const Scalars& s) {
    const uint64_t x1 = to1(spec, f, s.x);
    if (f.op == SyncOp::kOr) {
      const bool reset0 = (s.bx & ~s.x) != 0, reset1 = (s.by & ~s.y) != 0;
      if (reset0 && !reset1) return x1 | (s.y & ~s.by);
      if (reset1 && !reset0) return s.y | to1(spec, f, s.x & ~s.bx);
      return x1 | s.y;
    }
    const auto ahead = [&](uint64_t a, uint64_t b, uint32_t size, bool is_signed) {
      const Wide p = number(a, size, is_signed), q = number(b, size, is_signed);
      return f.op == SyncOp::kMax ? p > q : p < q;
    };
    const bool reset0 = ahead(s.bx, s.x, f.size0, f.signed0), reset1 = ahead(s.by, s.y, f.size1, f.signed1);
    const bool x_ahead = ahead(x1, s.y, f.size1, f.signed1);
    if (reset0 && !reset1) return s.y != s.by && !x_ahead ? s.y : x1;
    if (reset1 && !reset0) return s.x != s.bx && x_ahead ? x1 : s.y;
    return x_ahead ? x1 : s.y;
  }
};

}  // namespace mapshift::oracle
