// SPDX-License-Identifier: Apache-2.0
// How layouts of real modules changed: what follows by itself, what has to be declared, what is refused.
#include <gtest/gtest.h>

#include "diff_testing.h"
#include "update/field_ops.h"

namespace mapshift::update {
namespace {
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

KeyDiff keys(TypeRef a, TypeRef b, std::map<std::string, FieldRule> rules = {}) {
  return diff_keys({a, a->size}, {b, b->size}, "maps.m.key", rules);
}

TypeRef lock() { return structure("bpf_spin_lock", {{"val", u32()}}); }

TEST(Moved, ALeafIsFollowedIntoAStructureAndOutOfIt) {
  const auto flat = structure("v", {{"bytes", u64()}, {"seen", u32()}});
  const auto wrapped = structure("v", {{"stats", structure("s", {{"bytes", u64()}})}, {"seen", u32()}, {"more", u32()}});
  const auto in = diff(flat, wrapped);
  EXPECT_EQ(field(in, "stats.bytes")->from, "bytes");
  EXPECT_EQ(field(in, "stats.bytes")->change, "moved");
  EXPECT_THAT(in.warnings, IsEmpty());
  EXPECT_EQ(field(diff(wrapped, flat), "bytes")->from, "stats.bytes");
  const auto deeper = diff(wrapped, structure("v", {{"a", structure("a", {{"stats", structure("s", {{"bytes", u64()}})}})}}));
  EXPECT_EQ(field(deeper, "a.stats.bytes")->from, "stats.bytes");
}

TEST(Moved, WhatMayBeSomethingElseIsOnlyHintedAt) {
  const auto flat = structure("v", {{"bytes", u64()}, {"seen", u32()}});
  const auto twice = structure("v", {{"rx", structure("s", {{"bytes", u64()}})}, {"tx", structure("s", {{"bytes", u64()}})}});
  EXPECT_EQ(field(diff(flat, twice), "rx.bytes")->change, "new") << "two leaves of that name";
  const auto narrower = structure("v", {{"s", structure("s", {{"bytes", u32()}})}});
  EXPECT_THAT(codes(diff(flat, narrower).warnings), ElementsAre("maybe-renamed")) << "another type";
  const auto rx = structure("v", {{"rx", structure("s", {{"bytes", u64()}})}}), tx = structure("v", {{"tx", structure("s", {{"bytes", u64()}})}});
  EXPECT_EQ(field(diff(rx, tx), "tx.bytes")->change, "new") << "another structure is a rename, which is declared";
  const auto slots = structure("v", {{"slots", array(structure("s", {{"bytes", u64()}}), 4)}});
  EXPECT_EQ(field(diff(flat, slots), "slots.bytes")->change, "new") << "one became many";
}

TEST(Moved, ADeclaredNameComesFirst) {
  const auto before = structure("v", {{"bytes", u64()}, {"old", u64()}});
  const auto after = structure("v", {{"s", structure("s", {{"bytes", u64(), {"mapshift:from=old"}}})}});
  EXPECT_EQ(field(diff(before, after), "s.bytes")->from, "old");
}

TEST(Arrays, AScalarBecomesElementZeroAndBack) {
  const auto grown = diff(structure("v", {{"n", u64()}, {"x", u32()}}), structure("v", {{"n", array(u64(), 4)}, {"x", u32()}}));
  EXPECT_EQ(field(grown, "n")->change, "grew 1 to 4 elements");
  EXPECT_THAT(grown.lossy, IsEmpty());
  EXPECT_EQ(grown.ops.size(), 2U);
  const auto shrunk = diff(structure("v", {{"n", array(u64(), 4)}}), structure("v", {{"n", u64()}}));
  EXPECT_THAT(shrunk.lossy, HasSubstr("the last 3 elements have no place"));
}

TEST(Unions, MoreMembersKeepTheBytes) {
  const auto v4 = union_of("u", {{"v4", u32()}, {"raw", array(u8(), 8)}});
  const auto same = union_of("u", {{"v4", u32()}, {"raw", array(u8(), 8)}, {"mark", u64()}});
  const auto d = diff(structure("v", {{"a", v4}}), structure("v", {{"a", same}}));
  EXPECT_THAT(d.refusals, IsEmpty());
  EXPECT_THAT(d.lossy, IsEmpty());
  EXPECT_THAT(messages(d.warnings), HasSubstr("cannot read after a rollback"));
  const auto larger = union_of("u", {{"v4", u32()}, {"raw", array(u8(), 8)}, {"v6", array(u8(), 16)}});
  EXPECT_THAT(diff(structure("v", {{"a", v4}}), structure("v", {{"a", larger}})).lossy, HasSubstr("room for 8"));
  const auto gone = diff(structure("v", {{"a", same}}), structure("v", {{"a", v4}}));
  EXPECT_THAT(messages(gone.refusals), HasSubstr("transform"));
}

TEST(Arrays, OfWhichOneElementIsCountedInAreSums) {
  SchemaRequest request{.where = "maps.m", .old_value = {structure("v", {{"n", u32()}}), 4}, .new_value = {structure("v", {{"n", array(u32(), 2)}}), 8}};
  request.infer = [](uint32_t, uint32_t, uint32_t offset1, uint32_t size1) -> std::optional<InferredMerge> {
    if (size1 == 8) return InferredMerge{.merge = Merge::kLatest, .reason = "atomic add, but set", .warn = true};  // of half of it
    return offset1 == 0 ? std::optional(InferredMerge{.merge = Merge::kSum, .reason = "atomic add"}) : std::nullopt;
  };
  const SchemaDiff d = diff_values(request);
  EXPECT_EQ(field(d, "n")->merge, "sum");
  EXPECT_THAT(d.warnings, IsEmpty());
  request.infer = [](uint32_t, uint32_t, uint32_t, uint32_t size1) -> std::optional<InferredMerge> {
    return InferredMerge{.merge = Merge::kLatest, .reason = "set", .warn = size1 == 8};
  };
  EXPECT_EQ(diff_values(request).warnings.size(), 1U) << "of the whole, where the elements are no better";
}

TEST(Locks, LieOutsideOfTheFields) {
  const auto before = structure("v", {{"lock", lock()}, {"n", u32()}});
  const auto after = structure("v", {{"n", u64()}, {"lock", lock()}});
  SchemaRequest request{.where = "maps.m", .old_value = {before, 8}, .new_value = {after, 16}};
  request.infer = [](uint32_t, uint32_t, uint32_t, uint32_t) { return InferredMerge{.merge = Merge::kSum, .reason = "load, add, store at insn 7", .atomic = false, .locked = true}; };
  SchemaDiff d = diff_values(request);
  EXPECT_THAT(d.refusals, IsEmpty());
  EXPECT_EQ(d.lock0, 0);
  EXPECT_EQ(d.lock1, 8);
  EXPECT_EQ(d.ops.size(), 1U);
  EXPECT_EQ(field(d, "lock"), nullptr);
  EXPECT_TRUE(field(d, "n")->exact) << "plain additions under the lock";
  EXPECT_THAT(d.notes, Contains(HasSubstr("under their lock")));
  request.infer = [](uint32_t, uint32_t, uint32_t, uint32_t) { return InferredMerge{.merge = Merge::kSum, .reason = "load, add, store", .atomic = false}; };
  d = diff_values(request);
  EXPECT_FALSE(field(d, "n")->exact) << "some addition is made without the lock";
}

TEST(Locks, LetWideFieldsTravelWithTheirGroup) {
  const auto before = structure("v", {{"lock", lock()}, {"tokens", u32()}, {"peer", array(u8(), 16)}});
  const auto after = structure("v", {{"lock", lock()}, {"peer", array(u8(), 16)}, {"tokens", u32()}});
  const SchemaDiff d = diff(before, after);
  EXPECT_TRUE(field(d, "peer")->exact);
  for (const SyncField& op : d.ops) EXPECT_EQ(op.group, 0);
}

TEST(Locks, OneSideIsEnough) {
  const auto without = structure("v", {{"n", u64()}}), with = structure("v", {{"lock", lock()}, {"n", u64()}});
  const auto added = diff(without, with);
  EXPECT_THAT(added.refusals, IsEmpty());
  EXPECT_FALSE(added.identical);
  EXPECT_EQ(added.lock0, -1);
  EXPECT_EQ(added.lock1, 0);
  EXPECT_EQ(diff(with, without).lock0, 0);
  EXPECT_EQ(diff(with, without).lock1, -1);
}

TEST(Locks, WhatTheKernelDoesNotTakeForALockIsRefused) {
  const auto nested = structure("v", {{"in", structure("s", {{"lock", lock()}})}, {"n", u64()}});
  EXPECT_THAT(messages(diff(nested, nested).refusals), HasSubstr("direct member of the value"));
  const auto two = structure("v", {{"a", lock()}, {"b", lock()}});
  EXPECT_THAT(messages(diff(two, two).refusals), HasSubstr("the one lock"));
  const auto large = structure("v", {{"lock", structure("bpf_spin_lock", {{"val", u64()}})}});
  EXPECT_THAT(messages(diff(large, large).refusals), HasSubstr("8 bytes"));
  const auto resilient = structure("v", {{"lock", structure("bpf_res_spin_lock", {{"val", u64()}})}});
  EXPECT_THAT(codes(diff(resilient, resilient).refusals), ElementsAre("special-field"));
}

TEST(PerCpu, OnlySumsAddUp) {
  const auto v = structure("v", {{"n", u64(), {"mapshift:merge=sum"}}}), mixed = structure("v", {{"n", u64(), {"mapshift:merge=sum"}}, {"t", u64()}});
  SchemaRequest request{.where = "maps.m", .old_value = {v, 8}, .new_value = {v, 8}, .add_up = true};
  EXPECT_THAT(diff_values(request).refusals, IsEmpty());
  request.old_value = request.new_value = {mixed, 16};
  EXPECT_THAT(messages(diff_values(request).refusals), HasSubstr("t is merged as latest, and only sums of all CPUs"));
}

TEST(KeyBytes, ThatAreIdenticalAreTheSameKey) {
  const auto words = structure("k", {{"ip", array(u32(), 4)}, {"port", u32()}});
  const auto bytes = structure("k", {{"addr", structure("a", {{"v6", array(u8(), 16)}})}, {"port", u32()}});
  EXPECT_TRUE(keys(words, bytes).same) << keys(words, bytes).reason;
  const auto scalars = structure("k", {{"a", u32()}, {"b", u32()}, {"c", u32()}, {"d", u32()}, {"port", u32()}});
  EXPECT_TRUE(keys(words, scalars).same);
  const auto halves = structure("k", {{"a", u64()}, {"b", u64()}, {"port", u32()}});
  EXPECT_FALSE(keys(words, halves).same) << "other integers";
  const auto padded = structure("k", {{"a", u16()}, {"b", u32()}}), full = structure("k", {{"a", u32()}, {"b", u32()}});
  EXPECT_FALSE(keys(padded, full).same);
}

TEST(KeyBytes, ThatOnlyLookTheSameAreNot) {
  const auto flat = structure("k", {{"saddr", u32()}, {"daddr", u32()}});
  const auto swapped = structure("k", {{"in", structure("i", {{"daddr", u32()}, {"saddr", u32()}})}});
  const KeyDiff d = keys(flat, swapped);
  EXPECT_FALSE(d.same);
  EXPECT_THAT(d.reason, HasSubstr("in.daddr moved from byte 4 to 0"));
  EXPECT_THAT(d.refusals, IsEmpty());
  ASSERT_EQ(d.fields.size(), 2U);
  EXPECT_EQ(d.fields[0].offset0, 4);
  EXPECT_EQ(d.fields[0].offset1, 0);
}

TEST(KeyConversion, WidenedReorderedPaddedAndRenamed) {
  const auto before = structure("k", {{"src", u32()}, {"port", u16()}, {"proto", u8()}});
  const auto after = structure("k", {{"proto", u8()}, {"port", u32()}, {"saddr", u32()}});
  const KeyDiff guessed = keys(before, after);
  EXPECT_THAT(messages(guessed.refusals), HasSubstr("\"key_fields\": {\"saddr\": {\"from\": \"src\"}}"));
  const KeyDiff d = keys(before, after, {{"saddr", {.from = "src"}}});
  EXPECT_THAT(d.refusals, IsEmpty());
  ASSERT_EQ(d.fields.size(), 3U);
  EXPECT_EQ(d.fields[1].size0, 2);
  EXPECT_EQ(d.fields[1].size1, 4);
  EXPECT_THAT(d.changes, Contains("saddr: was src, moved from byte 0 to 8"));
  EXPECT_THAT(d.changes, Contains("padding of the old key counts as zero"));
  EXPECT_EQ(d.no_way_back, "keys whose port does not fit into u16");
  EXPECT_FALSE(d.loses_back);
  EXPECT_THAT(d.may_meet, IsEmpty());
  const auto tagged = structure("k", {{"proto", u8()}, {"port", u32()}, {"saddr", u32(), {"mapshift:from=src"}}});
  EXPECT_THAT(keys(before, tagged).refusals, IsEmpty());
}

TEST(KeyConversion, ThatIsNotOneToOneSaysSo) {
  const auto pair = structure("k", {{"a", u32()}, {"b", u32()}}), one = structure("k", {{"a", u32()}});
  EXPECT_EQ(keys(pair, one).may_meet, "b is dropped");
  EXPECT_TRUE(keys(one, pair).loses_back);
  EXPECT_EQ(keys(one, pair).no_way_back, "keys in which b is not zero");
  const auto wide = structure("k", {{"a", u64()}, {"b", u32()}}), narrow = structure("k", {{"a", u16()}, {"b", u32()}});
  EXPECT_THAT(messages(keys(wide, narrow).refusals), HasSubstr("not every old key has a place"));
  const auto signed_key = structure("k", {{"a", s32()}}), unsigned_key = structure("k", {{"a", u64()}});
  EXPECT_THAT(messages(keys(signed_key, unsigned_key).refusals), HasSubstr("not every old key"));
  EXPECT_THAT(messages(diff_keys({nullptr, 4}, {one, 4}).refusals), HasSubstr("\"types\""));
}

TEST(KeyConversion, HostileKeysAreRefused) {
  Type liar = *structure("k", {{"a", u32()}, {"b", u32()}});
  liar.members[1].bit_offset = 0;
  EXPECT_THAT(messages(keys(make(liar), structure("k", {{"a", u64()}})).refusals), HasSubstr("overlaps"));
  const auto huge = array(u8(), 1U << 30);
  EXPECT_FALSE(keys(huge, array(u32(), 1U << 28)).same);
  const auto e = structure("k", {{"e", enumeration("e", {{"A", 0}, {"B", 1}})}}), moved = structure("k", {{"e", enumeration("e", {{"B", 0}, {"A", 1}})}});
  EXPECT_THAT(messages(keys(e, moved).refusals), HasSubstr("the values of its enum moved"));
}

TEST(Hostile, ThousandsOfMembersEndSoon) {
  std::vector<FieldOf> a, b;
  for (int i = 0; i < 4000; ++i) {
    const std::string n = std::to_string(i);
    a.push_back({"", union_of("", {{"x" + n, u32()}, {"y" + n, u32()}})});
    b.push_back({"", union_of("", {{"z" + n, u32()}, {"w" + n, u32()}})});
  }
  a.push_back({"", union_of("", {{"shared", u32()}, {"t", u32()}})});
  b.push_back({"shared", u32()});
  EXPECT_THAT(codes(diff(structure("v", a), structure("v", b)).refusals), Contains("union"));
}

TEST(Hostile, TypesThatNestTooDeepEndInAProblem) {
  TypeRef type = u32();
  for (int i = 0; i < 100; ++i) type = structure("s", {{"in", type}});
  EXPECT_THAT(messages(diff(type, type).refusals), HasSubstr("nests deeper"));
}

}  // namespace
}  // namespace mapshift::update
