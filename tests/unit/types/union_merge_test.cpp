// SPDX-License-Identifier: Apache-2.0
// The three-way rule by system calls, for values whose discriminator says which member of a union they hold.
#include <gtest/gtest.h>

#include <cstring>

#include "kernel/field_merge.h"

namespace mapshift {
namespace {

// Old: kind, and a count of 4 bytes or a name of 8. New: the same members the other way round, the count of 8 bytes.
struct Old {
  uint32_t kind = 0, spare = 0;
  union { uint32_t count; uint64_t name = 0; };
};
struct New {
  union { uint64_t name = 0; uint64_t count; };
  uint32_t kind = 0, spare = 0;
};

SyncSpec spec_of(bool zero) {
  const auto field = [](SyncOp op, uint8_t size0, size_t offset0, uint8_t size1, size_t offset1, uint8_t arm) {
    SyncField f{op, size0, size1, false, false, static_cast<uint16_t>(offset0), static_cast<uint16_t>(offset1)};
    f.in_union = 1;
    f.arm = arm;
    return f;
  };
  SyncSpec spec;
  spec.key_size = 4;
  spec.value_size0 = sizeof(Old);
  spec.value_size1 = sizeof(New);
  spec.fields = {field(SyncOp::kSum, 4, offsetof(Old, count), 8, offsetof(New, count), 1), field(SyncOp::kLatest, 8, offsetof(Old, name), 8, offsetof(New, name), 2),
                 field(SyncOp::kLatest, 8, offsetof(Old, name), 8, offsetof(New, name), 0),
                 field(SyncOp::kLatest, 4, offsetof(Old, kind), 4, offsetof(New, kind), kDiscriminator)};
  spec.fields[2].zero = zero;
  spec.unions = {{offsetof(Old, kind), offsetof(New, kind), 4, 4, {{1, 1, 1}, {2, 2, 2}}}};
  return spec;
}

template <class T>
Bytes bytes_of(const T& value) {
  Bytes out(sizeof value);
  std::memcpy(out.data(), &value, sizeof value);
  return out;
}
Bytes old_value(uint32_t kind, uint64_t name) {
  Old value;
  value.kind = kind;
  value.name = name;
  return bytes_of(value);
}
Bytes new_value(uint32_t kind, uint64_t name) {
  New value;
  value.kind = kind;
  value.name = name;
  return bytes_of(value);
}

TEST(UnionMerge, ANewKeyGetsTheMemberInUse) {
  const SyncSpec spec = spec_of(false), without = spec_of(true);
  bool clamped = false;
  EXPECT_EQ(FieldMerge(spec).to_side1(old_value(1, 0xAAAAAAAA00000005), clamped), new_value(1, 5)) << "what lies beside the count is not in it";
  EXPECT_EQ(FieldMerge(spec).to_side1(old_value(2, 0xAAAAAAAA00000005), clamped), new_value(2, 0xAAAAAAAA00000005));
  EXPECT_EQ(FieldMerge(spec).to_side1(old_value(3, 7), clamped), new_value(3, 7));
  EXPECT_EQ(FieldMerge(without).to_side1(old_value(3, 7), clamped), new_value(3, 0));
  EXPECT_EQ(FieldMerge(spec).to_side0(new_value(1, 6), clamped), old_value(1, 6));
  EXPECT_FALSE(clamped);
}

TEST(UnionMerge, CountsAddUpUntilAnotherMemberTakesOver) {
  const SyncSpec spec = spec_of(false);
  const FieldMerge merge(spec);
  FieldMerge::Values base{old_value(1, 5), new_value(1, 5)}, now{old_value(1, 7), new_value(1, 15)};
  merge.merge(SyncPhase::kLiveNew, now, &base);
  EXPECT_EQ(now.side0, old_value(1, 17));
  EXPECT_EQ(now.side1, new_value(1, 17));
  base = now;
  now.side1 = new_value(2, 99);
  merge.merge(SyncPhase::kLiveNew, now, &base);
  EXPECT_EQ(now.side0, old_value(2, 99));
  base = now;
  now.side0 = old_value(1, 4);
  merge.merge(SyncPhase::kPrecopy, now, &base);
  EXPECT_EQ(now.side1, new_value(1, 4));
  EXPECT_TRUE(merge.equal(now));
}

TEST(UnionMerge, WhereBothTookAnotherMemberTheActiveSideWins) {
  const SyncSpec spec = spec_of(false);
  for (const bool active1 : {false, true}) {
    const FieldMerge::Values base{old_value(1, 5), new_value(1, 5)};
    FieldMerge::Values now{old_value(2, 22), new_value(3, 33)};
    EXPECT_TRUE(FieldMerge(spec).merge(active1 ? SyncPhase::kLiveNew : SyncPhase::kLiveOld, now, &base).conflict);
    EXPECT_EQ(now.side0, active1 ? old_value(3, 33) : old_value(2, 22));
    EXPECT_EQ(now.side1, active1 ? new_value(3, 33) : new_value(2, 22));
  }
}

TEST(UnionMerge, WhatIsJudgedAndTakenOutIsOfTheMemberInUse) {
  const SyncSpec spec = spec_of(false);
  const FieldMerge merge(spec);
  EXPECT_TRUE(merge.judge(old_value(1, 7), old_value(1, 5), false).rose);
  EXPECT_FALSE(merge.judge(old_value(1, 3), old_value(2, 5), false).fell) << "another member's bytes are no count";
  EXPECT_FALSE(merge.changed(old_value(1, 0xBB00000005), old_value(1, 0xAA00000005), false));
  EXPECT_EQ(merge.without(old_value(1, 7), old_value(1, 5), false), old_value(1, 2));
  EXPECT_EQ(merge.without(old_value(1, 7), old_value(2, 5), false), old_value(1, 7));
}

}  // namespace
}  // namespace mapshift
