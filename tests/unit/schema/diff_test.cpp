// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "diff_testing.h"

namespace mapshift::update {
namespace {
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Diff, IdenticalLayoutsAreIdentical) {
  const auto a = structure("flow", {{"packets", u64()}, {"state", u32()}});
  const auto b = structure("other", {{"packets", u64(), {"mapshift:merge=sum"}}, {"state", s32()}});
  EXPECT_TRUE(diff(a, a).identical);
  EXPECT_TRUE(diff(a, b).identical) << "names of types, merges and signedness change no byte";
}

TEST(Diff, ReorderedFieldsOfTheSameSizeAreADifference) {
  const auto d = diff(structure("v", {{"a", u64()}, {"b", u64()}}), structure("v", {{"b", u64()}, {"a", u64()}}));
  EXPECT_FALSE(d.identical);
  EXPECT_THAT(d.differences, Contains("b: moved from byte 8 to 0"));
  ASSERT_EQ(d.ops.size(), 2U);
  EXPECT_EQ(d.ops[0].offset0, 8);
  EXPECT_EQ(d.ops[0].offset1, 0);
}

TEST(Diff, WidensAndNarrows) {
  const auto wide = diff(structure("v", {{"n", u32(), {"mapshift:merge=sum"}}}), structure("v", {{"n", u64(), {"mapshift:merge=sum"}}}));
  EXPECT_EQ(field(wide, "n")->change, "widened u32 to u64");
  EXPECT_EQ(field(wide, "n")->merge, "sum");
  EXPECT_EQ(field(wide, "n")->origin, "declared");
  EXPECT_TRUE(field(wide, "n")->exact);
  EXPECT_THAT(wide.lossy, IsEmpty());
  const auto narrow = diff(structure("v", {{"n", u64()}}), structure("v", {{"n", u16()}}));
  EXPECT_EQ(field(narrow, "n")->change, "narrowed u64 to u16");
  EXPECT_THAT(narrow.lossy, HasSubstr("clamped"));
  EXPECT_FALSE(field(narrow, "n")->exact);
}

TEST(Diff, SignednessKeepsTheBits) {
  const auto d = diff(structure("v", {{"n", u32()}, {"x", u8()}}), structure("v", {{"n", s32()}}));
  EXPECT_EQ(field(d, "n")->change, "u32 to s32, bits kept");
  EXPECT_EQ(d.ops[0].signed0, d.ops[0].signed1);
  const auto negative = diff(structure("v", {{"n", s32()}}), structure("v", {{"n", u64()}}));
  EXPECT_THAT(negative.lossy, HasSubstr("negative"));
}

TEST(Diff, RenamesAreDeclared) {
  const auto before = structure("v", {{"saddr", u32()}, {"x", u32()}});
  const auto plain = diff(before, structure("v", {{"source", u32()}, {"x", u32()}}));
  EXPECT_EQ(field(plain, "source")->change, "new");
  EXPECT_EQ(field(plain, "saddr")->change, "dropped");
  const auto tagged = diff(before, structure("v", {{"source", u32(), {"mapshift:from=saddr"}}, {"x", u32()}}));
  EXPECT_EQ(field(tagged, "source")->from, "saddr");
  EXPECT_FALSE(tagged.identical);
  const auto after = structure("v", {{"source", u32(), {"mapshift:from=saddr"}}, {"x", u32()}});
  const auto ruled = diff(before, after, {{"source", {.from = "x"}}});
  EXPECT_THAT(codes(ruled.refusals), ElementsAre("duplicate-from")) << "the manifest wins over the tag";
  EXPECT_TRUE(diff(after, after).identical) << "a rename that happened before";
  const auto unknown = diff(before, structure("v", {{"source", u32()}}), {{"source", {.from = "sadr"}}});
  EXPECT_THAT(messages(unknown.refusals), HasSubstr("did you mean \"saddr\""));
}

TEST(Diff, RenamesReachInsideStructures) {
  const auto inner = structure("s", {{"a", u32()}, {"b", u32()}});
  const auto inner2 = structure("s", {{"a", u32()}, {"c", u32(), {"mapshift:from=b"}}});
  const auto before = structure("v", {{"old", inner}});
  const auto d = diff(before, structure("v", {{"now", inner2, {"mapshift:from=old"}}}));
  EXPECT_EQ(field(d, "now.a")->from, "old.a");
  EXPECT_EQ(field(d, "now.c")->from, "old.b");
  const auto ruled = diff(before, structure("v", {{"now", inner}}), {{"now", {.merge = Merge::kSum, .from = "old"}}});
  EXPECT_EQ(field(ruled, "now.b")->from, "old.b");
  EXPECT_EQ(field(ruled, "now.b")->merge, "sum");
  EXPECT_EQ(field(ruled, "now.b")->origin, "manifest");
}

TEST(Diff, DefaultsOfNewFields) {
  const auto before = structure("v", {{"a", u32()}});
  const auto after = structure("v", {{"a", u32()}, {"w", u32(), {"mapshift:default=3"}}, {"z", array(u16(), 2)}});
  const auto d = diff(before, after, {{"z", {.default_value = -1}}});
  EXPECT_EQ(field(d, "w")->change, "new, default 3");
  EXPECT_THAT(messages(d.refusals), HasSubstr("-1 does not fit into u16[2]"));
  const auto ok = diff(before, after, {{"w", {.default_value = 9}}, {"z", {.default_value = 5}}});
  ASSERT_EQ(ok.defaults.size(), 3U);
  EXPECT_EQ(ok.defaults[0].value, 9U);
  EXPECT_EQ(ok.defaults[2].offset, 10);
  EXPECT_THAT(ok.refusals, IsEmpty());
}

TEST(Diff, DroppedFieldsSayWhereTheyStay) {
  const auto d = diff(structure("v", {{"a", u32()}, {"b", u32()}}), structure("v", {{"a", u32()}}));
  EXPECT_EQ(field(d, "b")->name, "");
  EXPECT_EQ(field(d, "b")->merge, "");
  EXPECT_THAT(field(d, "b")->reason, HasSubstr("old map"));
  EXPECT_THAT(d.lossy, IsEmpty());
  const auto moved = diff(structure("v", {{"a", u32()}, {"b", u32()}}), structure("v", {{"s", structure("s", {{"b", u64()}})}, {"a", u32()}}));
  EXPECT_THAT(codes(moved.warnings), ElementsAre("maybe-renamed"));
}

TEST(Diff, PaddingIsNoField) {
  const auto d = diff(structure("v", {{"a", u8()}, {"b", u64()}}), structure("v", {{"b", u64()}, {"a", u8()}}));
  uint32_t bytes = 0;
  for (const SyncField& f : d.ops) bytes += f.size0;
  EXPECT_EQ(bytes, 9U);
}

TEST(Diff, InferenceFillsWhatNobodyDeclared) {
  const auto before = structure("v", {{"n", u64()}, {"t", u64()}, {"m", u64()}}), after = structure("v", {{"t", u64()}, {"n", u64()}, {"m", u64()}});
  SchemaRequest request{"maps.m", {before, 24}, {after, 24}};
  request.infer = [](uint32_t offset0, uint32_t, uint32_t, uint32_t) -> std::optional<InferredMerge> {
    if (offset0 == 0) return InferredMerge{Merge::kSum, "load, add, store at insn 7", false, false};
    if (offset0 == 8) return InferredMerge{Merge::kLatest, "added to and set", true, true};
    return std::nullopt;
  };
  auto d = diff_values(request);
  EXPECT_EQ(field(d, "n")->origin, "inferred");
  EXPECT_FALSE(field(d, "n")->exact);
  EXPECT_THAT(field(d, "n")->reason, HasSubstr("insn 7"));
  EXPECT_EQ(field(d, "m")->origin, "default");
  EXPECT_EQ(field(d, "m")->merge, "latest");
  EXPECT_THAT(codes(d.warnings), ElementsAre("declare-merge"));
  request.percpu = true;
  EXPECT_TRUE(field(diff_values(request), "n")->exact) << "a slot is written on its own CPU only";
  request.percpu = false;
  request.rules["t"].merge = Merge::kSum;
  EXPECT_THAT(codes(diff_values(request).warnings), ElementsAre("doubtful-sum"));
}

TEST(Diff, WithoutTypeInformationOnlyTheSizeCounts) {
  const auto typed = structure("v", {{"n", u64()}});
  const auto same = diff_values({"maps.m", {nullptr, 8}, {typed, 8}});
  EXPECT_TRUE(same.opaque);
  EXPECT_TRUE(same.identical);
  EXPECT_THAT(codes(same.refusals), ElementsAre("no-btf"));
  EXPECT_FALSE(diff_values({"maps.m", {nullptr, 4}, {typed, 8}}).identical);
}

TEST(Diff, ScalarValuesAreCalledValue) {
  const auto d = diff(u32(), u64(), {{"value", {.merge = Merge::kSum}}});
  ASSERT_NE(field(d, "value"), nullptr);
  EXPECT_EQ(field(d, "value")->merge, "sum");
  EXPECT_EQ(field(d, "value")->change, "widened u32 to u64");
}

TEST(Diff, HostileTypesEndInAProblem) {
  const auto overlap = union_of("u", {{"a", u64()}});
  Type twice = *structure("v", {{"a", u64()}, {"b", u64()}});
  twice.members[1].bit_offset = 32;
  EXPECT_THAT(codes(diff(make(twice), overlap).refusals), Contains("bad-layout"));
  Type outside = *structure("v", {{"a", u64()}});
  outside.members[0].bit_offset = 4000;
  EXPECT_THAT(codes(diff(overlap, make(outside)).refusals), Contains("bad-layout"));
  Type endless = *array(u64(), 1);
  endless.count = 0xffffffff;
  EXPECT_THAT(codes(diff(overlap, structure("v", {{"a", make(endless)}})).refusals), Contains("bad-layout"));
  Type twig = *structure("l", {});
  twig.size = 1;
  TypeRef bush = make(twig);  // 10^30 leaves of no member each, in 30 levels
  for (int i = 0; i < 30; ++i) {
    Type level = twig;
    level.members.assign(10, {"a", 0, 0, bush});
    bush = make(level);
  }
  EXPECT_THAT(codes(diff(overlap, bush).refusals), Contains("bad-layout"));
}

TEST(Diff, LimitsAreRefusals) {
  const auto bytes = structure("v", {{"a", array(u8(), 4000)}}), more = structure("v", {{"b", u64()}, {"a", array(u8(), 4000)}});
  EXPECT_THAT(diff(bytes, more).refusals, IsEmpty());
  EXPECT_THAT(codes(diff(bytes, more, {{"a", {.merge = Merge::kSum}}}).refusals), ElementsAre("too-many-fields"));
  const auto large = structure("v", {{"a", array(u64(), 1000)}});
  EXPECT_TRUE(diff(large, large).identical);
  EXPECT_THAT(codes(diff(large, large).refusals), ElementsAre("value-too-large"));
}

}  // namespace
}  // namespace mapshift::update
