// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>

#include "diff_testing.h"
#include "ms_oracle.h"
#include "random_layout.h"

namespace mapshift::oracle {
namespace {

constexpr uint64_t kSeeds = 400;

Bytes random_value(const SyncSpec& spec, std::mt19937_64& random) {
  Bytes value(spec.value_size0);
  for (const SyncField& f : spec.fields) store(value, f.offset0, f.size0, f.remap >= 0 ? random() % 3 : random());
  return value;
}

TEST(Oracle, RandomLayoutsAreAcceptedAndComeBackUnharmed) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const RandomLayout layout = make_random_layout(seed);
    ASSERT_TRUE(layout.diff.refusals.empty()) << update::messages(layout.diff.refusals);
    ASSERT_LE(layout.spec.value_size1, kMaxSyncValueSize);
    std::mt19937_64 random(seed);
    const Bytes before = random_value(layout.spec, random);
    const Bytes after = Oracle::convert01(layout.spec, before);
    EXPECT_EQ(Oracle::convert10(layout.spec, after), before) << "nothing narrows, so nothing may change";
  }
}

TEST(Oracle, FieldsNeverOverlapAndAreAligned) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const SyncSpec spec = make_random_layout(seed).spec;
    std::vector<int> used0(spec.value_size0), used1(spec.value_size1);
    for (const SyncField& f : spec.fields) {
      EXPECT_EQ(f.offset0 % f.size0, 0);
      EXPECT_EQ(f.offset1 % f.size1, 0);
      EXPECT_LT(f.group, 64);
      for (uint32_t i = 0; i < f.size0; ++i) ASSERT_EQ(used0.at(f.offset0 + i)++, 0);
      for (uint32_t i = 0; i < f.size1; ++i) ASSERT_EQ(used1.at(f.offset1 + i)++, 0);
    }
    for (const SyncDefault& d : spec.defaults1)
      for (uint32_t i = 0; i < d.size; ++i) ASSERT_EQ(used1.at(d.offset + i)++, 0);
  }
}

TEST(Oracle, MergingWhatDidNotMoveChangesNothing) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const SyncSpec spec = make_random_layout(seed).spec;
    std::mt19937_64 random(seed);
    const Bytes value0 = random_value(spec, random), value1 = Oracle::convert01(spec, value0);
    const auto same = Oracle::merge(spec, value0, value1, value0, value1, 0);
    EXPECT_EQ(same.value0, value0);
    EXPECT_EQ(same.value1, value1);
  }
}

SyncSpec one(SyncOp op, uint8_t size0, uint8_t size1) {
  SyncSpec spec;
  spec.value_size0 = spec.value_size1 = 8;
  spec.fields = {{.op = op, .size0 = size0, .size1 = size1}};
  return spec;
}
Bytes number8(uint64_t v) {
  Bytes bytes(8);
  store(bytes, 0, 8, v);
  return bytes;
}
std::pair<uint64_t, uint64_t> merged(const SyncSpec& spec, uint64_t base, uint64_t v0, uint64_t v1, int active = 1) {
  const auto out = Oracle::merge(spec, number8(base), number8(base), number8(v0), number8(v1), active);
  return {load(out.value0, 0, 8), load(out.value1, 0, 8)};
}
using Sides = std::pair<uint64_t, uint64_t>;

TEST(Oracle, EachMergeByHand) {
  EXPECT_EQ(merged(one(SyncOp::kSum, 8, 8), 10, 13, 14), (Sides{17, 17}));
  EXPECT_EQ(merged(one(SyncOp::kSum, 4, 8), 0xfffffffe, 1, 0xfffffffe), (Sides{1, 0x100000001})) << "a 32-bit counter wrapped";
  EXPECT_EQ(merged(one(SyncOp::kLatest, 8, 8), 1, 2, 1), (Sides{2, 2}));
  EXPECT_EQ(merged(one(SyncOp::kLatest, 8, 8), 1, 2, 3, 1), (Sides{3, 3}));
  EXPECT_EQ(merged(one(SyncOp::kLatest, 8, 8), 1, 2, 3, 0), (Sides{2, 2}));
  EXPECT_EQ(merged(one(SyncOp::kMax, 8, 8), 5, 9, 7), (Sides{9, 9}));
  EXPECT_EQ(merged(one(SyncOp::kMax, 8, 8), 5, 2, 5), (Sides{2, 2})) << "reset";
  EXPECT_EQ(merged(one(SyncOp::kMin, 8, 8), 5, 4, 3), (Sides{3, 3}));
  EXPECT_EQ(merged(one(SyncOp::kOr, 8, 8), 1, 3, 5), (Sides{7, 7}));
  EXPECT_EQ(merged(one(SyncOp::kOr, 8, 8), 3, 2, 7), (Sides{6, 6})) << "bit 0 was cleared, bit 2 is new";
}

TEST(Oracle, ConflictsCountByGroup) {
  SyncSpec spec = one(SyncOp::kLatest, 4, 4);
  spec.fields.push_back({.op = SyncOp::kLatest, .size0 = 4, .size1 = 4, .offset0 = 4, .offset1 = 4});
  const auto out = Oracle::merge(spec, number8(0), number8(0), number8(1), number8(uint64_t{2} << 32), 1);
  EXPECT_EQ(out.conflicts, std::set<uint16_t>{0});
  EXPECT_EQ(load(out.value0, 0, 8), uint64_t{2} << 32) << "the group of the active side wins as a whole";
}

TEST(Oracle, NarrowingClampsAndEnumsTravelByName) {
  EXPECT_EQ(load(Oracle::convert01(one(SyncOp::kLatest, 8, 2), number8(70000)), 0, 8), 65535U);
  SyncSpec spec = one(SyncOp::kLatest, 4, 4);
  spec.fields[0].remap = 0;
  spec.remaps = {{{{0, 1}, {1, 0}}}};
  EXPECT_EQ(load(Oracle::convert01(spec, number8(0)), 0, 8), 1U);
  EXPECT_EQ(load(Oracle::convert10(spec, number8(1)), 0, 8), 0U);
  EXPECT_EQ(load(Oracle::convert01(spec, number8(9)), 0, 8), 9U);
}

}  // namespace
}  // namespace mapshift::oracle
