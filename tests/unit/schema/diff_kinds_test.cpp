// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "diff_testing.h"
#include "update/field_ops.h"

namespace mapshift::update {
namespace {
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TypeRef shifted(TypeRef type, std::vector<std::string> tags = {}) {  // the same field elsewhere, so that it has to be moved
  return structure("v", {{"pad", u64()}, {"f", std::move(type), std::move(tags)}});
}
TypeRef alone(TypeRef type) { return structure("v", {{"f", std::move(type)}}); }

TEST(Kinds, EnumsFollowTheirNames) {
  const auto d = diff(alone(enumeration("e", {{"A", 0}, {"B", 1}})), alone(enumeration("e", {{"B", 0}, {"A", 1}})));
  EXPECT_FALSE(d.identical);
  ASSERT_EQ(d.remaps.size(), 1U);
  EXPECT_THAT(d.remaps[0].values, ElementsAre(std::pair<int64_t, int64_t>{0, 1}, std::pair<int64_t, int64_t>{1, 0}));
  EXPECT_EQ(d.ops[0].remap, 0);
  EXPECT_TRUE(diff(alone(enumeration("e", {{"A", 0}})), alone(enumeration("e", {{"A", 0}, {"B", 1}}))).identical);
}

TEST(Kinds, EnumsThatContradictAreRefused) {
  const auto gone = diff(alone(enumeration("e", {{"A", 0}, {"B", 1}})), alone(enumeration("e", {{"B", 0}})));
  EXPECT_THAT(messages(gone.refusals), HasSubstr("A is gone and its value 0 now means B"));
  const auto merged = diff(alone(enumeration("e", {{"A", 0}, {"B", 1}})), alone(enumeration("e", {{"A", 2}, {"B", 2}})));
  EXPECT_THAT(codes(merged.refusals), ElementsAre("enum"));
  const auto fresh = diff(alone(enumeration("e", {{"A", 0}})), alone(enumeration("e", {{"A", 1}, {"N", 0}})));
  EXPECT_THAT(messages(fresh.warnings), HasSubstr("would read it as A"));
  const auto ordered = diff(alone(enumeration("e", {{"A", 0}})), alone(enumeration("e", {{"A", 1}})), {{"f", {.merge = Merge::kMax}}});
  EXPECT_THAT(codes(ordered.refusals), ElementsAre("bad-merge"));
}

TEST(Kinds, ArraysKeepTheirCommonPrefix) {
  const auto grown = diff(alone(array(u32(), 4)), alone(array(u64(), 6)));
  EXPECT_EQ(grown.ops.size(), 4U);
  EXPECT_EQ(field(grown, "f")->change, "grew 4 to 6 elements; widened u32 to u64");
  EXPECT_THAT(grown.lossy, IsEmpty());
  const auto shrunk = diff(alone(array(u32(), 6)), alone(array(u32(), 4)));
  EXPECT_EQ(shrunk.ops.size(), 4U);
  EXPECT_THAT(shrunk.lossy, HasSubstr("the last 2 elements"));
  const auto element0 = diff(alone(u32()), alone(array(u32(), 4)));
  EXPECT_EQ(element0.ops.size(), 1U);
  const auto nested = diff(alone(array(structure("s", {{"a", u32()}, {"b", u32()}}), 3)),
                           alone(array(structure("s", {{"b", u32()}, {"a", u64()}}), 3)), {{"f.a", {.merge = Merge::kSum}}});
  EXPECT_EQ(nested.ops.size(), 6U);
  EXPECT_EQ(field(nested, "f.a")->merge, "sum");
}

TEST(Kinds, ByteArraysTravelInAlignedPieces) {
  const auto d = diff(alone(array(u8(), 14)), structure("v", {{"pad", u32()}, {"f", array(u8(), 14)}}));
  EXPECT_FALSE(field(d, "f")->exact) << "wider than 8 bytes";
  uint32_t bytes = 0;
  for (const SyncField& op : d.ops) {
    EXPECT_TRUE(op.wide);
    EXPECT_EQ(op.offset0 % op.size0, 0);
    EXPECT_EQ(op.offset1 % op.size1, 0);
    EXPECT_GT(op.group, 0) << "it must not keep the other fields from being written";
    bytes += op.size0;
  }
  EXPECT_EQ(bytes, 14U);
  const auto counted = diff(alone(array(u8(), 8)), shifted(array(u8(), 8)), {{"f", {.merge = Merge::kSum}}});
  EXPECT_EQ(counted.ops.size(), 8U);
}

TEST(Kinds, FloatsPointersBools) {
  const auto f32 = scalar(TypeKind::kFloat, "float", 4), f64 = scalar(TypeKind::kFloat, "double", 8);
  EXPECT_THAT(diff(alone(f64), shifted(f64)).refusals, IsEmpty());
  EXPECT_THAT(codes(diff(alone(f32), alone(f64)).refusals), ElementsAre("incompatible-field"));
  EXPECT_THAT(codes(diff(alone(f64), shifted(f64), {{"f", {.merge = Merge::kSum}}}).refusals), ElementsAre("bad-merge"));
  const auto pointer = scalar(TypeKind::kPointer, "", 8);
  EXPECT_THAT(messages(diff(alone(pointer), shifted(pointer)).warnings), HasSubstr("pointer"));
  EXPECT_THAT(diff(alone(boolean()), shifted(u32())).refusals, IsEmpty());
  EXPECT_THAT(codes(diff(alone(u32()), alone(boolean())).refusals), ElementsAre("incompatible-field"));
  EXPECT_THAT(codes(diff(alone(u32()), alone(f32)).refusals), ElementsAre("incompatible-field"));
}

TEST(Kinds, UnionsAreKeptWholeOrRefused) {
  const auto ip = union_of("ip", {{"v4", u32()}, {"v6", array(u8(), 16)}});
  const auto d = diff(alone(ip), shifted(ip));
  EXPECT_THAT(d.refusals, IsEmpty());
  EXPECT_FALSE(field(d, "f")->exact);
  EXPECT_THAT(codes(diff(alone(ip), alone(union_of("ip", {{"v4", u64()}, {"v6", array(u8(), 16)}}))).refusals), ElementsAre("union"));
  const auto anonymous = diff(structure("v", {{"", ip}, {"n", u32()}}), structure("v", {{"n", u32()}, {"", ip}}));
  EXPECT_NE(field(anonymous, "v4|v6"), nullptr);
  EXPECT_THAT(anonymous.refusals, IsEmpty());
  const auto split = diff(structure("v", {{"", ip}}), structure("v", {{"v4", u32()}}));
  EXPECT_THAT(codes(split.refusals), ElementsAre("union"));
}

TEST(Kinds, AnonymousStructuresAreHoisted) {
  const auto inner = structure("", {{"a", u32()}, {"b", u32()}});
  const auto d = diff(structure("v", {{"", inner}, {"c", u32()}}), structure("v", {{"a", u32()}, {"b", u32()}, {"c", u32()}}));
  EXPECT_TRUE(d.identical);
}

TEST(Kinds, BitFieldsKeepTheirUnitOrAreRefused) {
  const auto bits = bit_structure("b", 4, {{"x", 3}, {"y", 9}});
  const auto moved = diff(alone(bits), shifted(bits));
  EXPECT_THAT(moved.refusals, IsEmpty());
  ASSERT_EQ(moved.ops.size(), 1U);
  EXPECT_EQ(moved.ops[0].size0, 2);
  EXPECT_THAT(codes(diff(alone(bits), alone(bit_structure("b", 4, {{"x", 4}, {"y", 9}}))).refusals), ElementsAre("bit-fields"));
  EXPECT_THAT(codes(diff(alone(bits), alone(bit_structure("b", 4, {{"x", 3}, {"y", 9}, {"z", 1}}))).refusals), ElementsAre("bit-fields"));
  EXPECT_THAT(codes(diff(alone(bits), alone(structure("b", {{"x", u8()}, {"y", u16()}}))).refusals), ::testing::Contains("bit-fields"));
}

TEST(Kinds, WhatTheKernelOwnsIsRefusedByName) {
  const auto lock = structure("bpf_spin_lock", {{"val", u32()}}), timer = structure("bpf_timer", {{"opaque", array(u64(), 2)}});
  const auto locked = diff(alone(lock), alone(lock));
  EXPECT_TRUE(locked.identical);
  EXPECT_THAT(locked.refusals, IsEmpty());
  EXPECT_THAT(locked.reuse_refusals, IsEmpty()) << "both generations take the same lock";
  const auto timed = diff(alone(timer), alone(timer));
  EXPECT_THAT(messages(timed.reuse_refusals), HasSubstr("bpf_timer"));
  Type kptr = *scalar(TypeKind::kPointer, "", 8);
  kptr.tags = {"kptr"};
  EXPECT_THAT(codes(diff(alone(make(kptr)), shifted(make(kptr))).refusals), ElementsAre("special-field"));
}

TEST(Kinds, SumNeedsAnAlignedWordWithinTheValue) {
  const std::map<std::string, FieldRule> sum = {{"f", {.merge = Merge::kSum}}};
  EXPECT_THAT(messages(diff(alone(u64()), packed("v", {{"p", u32()}, {"f", u64()}}), sum).refusals), HasSubstr("not aligned"));
  EXPECT_THAT(messages(diff(alone(u16()), alone(u32()), sum).refusals), HasSubstr("reach beyond"));
  EXPECT_THAT(diff(structure("v", {{"f", u16()}, {"g", u16()}}), alone(u32()), sum).refusals, IsEmpty());
  EXPECT_THAT(codes(diff(alone(enumeration("e", {})), shifted(enumeration("e", {})), sum).refusals), ElementsAre("bad-merge"));
}

TEST(Kinds, LatestOfAMisalignedFieldIsCutIntoPieces) {
  const auto d = diff(alone(u64()), packed("v", {{"p", u32()}, {"f", u64()}}));
  EXPECT_THAT(d.refusals, IsEmpty());
  EXPECT_EQ(d.ops.size(), 2U);
  EXPECT_THAT(codes(diff(alone(u32()), packed("v", {{"p", u32()}, {"f", u64()}})).refusals), ElementsAre("misaligned"));
}

TEST(Kinds, LatestWithoutAWordAroundItIsNotExact) {
  const auto d = diff(alone(u8()), structure("v", {{"f", u8()}, {"g", u8()}}));
  EXPECT_TRUE(d.ops[0].wide);
  EXPECT_FALSE(field(d, "f")->exact);
}

}  // namespace
}  // namespace mapshift::update
