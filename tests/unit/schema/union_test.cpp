// SPDX-License-Identifier: Apache-2.0
// Unions whose discriminator says which member is in use: declared in the source or in the manifest, matched member by member.
#include <gtest/gtest.h>

#include "diff_testing.h"

namespace mapshift::update {
namespace {
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using Tags = std::vector<std::string>;
const Tags kTagged{"mapshift:union=kind"};

TypeRef kinds(int64_t tcp = 1, int64_t udp = 2) { return enumeration("kind", {{"TCP", tcp}, {"UDP", udp}}); }
TypeRef members(const TypeRef& seq, const TypeRef& count = u64()) {
  return union_of("u", {{"tcp", structure("tcp", {{"packets", count, {"mapshift:merge=sum"}}, {"seq", seq}}), {"mapshift:when=TCP"}},
                        {"udp", structure("udp", {{"bytes", u32()}, {"last", u32()}}), {"mapshift:when=UDP"}}});
}
TypeRef value(const TypeRef& of, const Tags& tags = kTagged, const TypeRef& kind = kinds()) {
  return structure("v", {{"kind", kind}, {"more", u32()}, {"u", of, tags}});
}
// An anonymous union carries its tags itself.
TypeRef tagged(const TypeRef& of) {
  Type type = *of;
  type.tags = kTagged;
  return make(std::move(type));
}
const TypeRef kOld = value(members(u32()));

const SyncField* op_at(const SchemaDiff& d, uint32_t offset0, uint8_t arm) {
  for (const SyncField& op : d.ops)
    if (op.offset0 == offset0 && op.arm == arm) return &op;
  return nullptr;
}

TEST(Discriminator, EachMemberIsConvertedByItself) {
  const auto d = diff(kOld, value(members(u64())));
  EXPECT_THAT(messages(d.refusals), IsEmpty());
  EXPECT_THAT(messages(d.warnings), IsEmpty());
  ASSERT_EQ(d.unions.size(), 1U);
  ASSERT_EQ(d.unions[0].values.size(), 2U);
  EXPECT_EQ(d.unions[0].values[0].value0, 1U);
  EXPECT_EQ(field(d, "u.tcp.seq")->change, "widened u32 to u64");
  EXPECT_EQ(field(d, "u.tcp.seq")->when, "kind is TCP");
  EXPECT_EQ(field(d, "u.tcp.packets")->merge, "sum");
  EXPECT_EQ(field(d, "u.udp.last")->when, "kind is UDP");
  EXPECT_EQ(field(d, "u")->when, "kind is none of these");
  EXPECT_THAT(field(d, "kind")->reason, HasSubstr("says which member of u"));
  EXPECT_THAT(d.notes, Contains(HasSubstr("carried as they are, and counted")));
  ASSERT_NE(op_at(d, 16, 1), nullptr);
  EXPECT_EQ(op_at(d, 16, 1)->size1, 8);
  const auto tag = std::ranges::find(d.ops, kDiscriminator, &SyncField::arm);
  ASSERT_NE(tag, d.ops.end());
  for (const SyncField& op : d.ops) EXPECT_TRUE(op.in_union == 0 || (op.group == tag->group && &op <= &*tag));
}

TEST(Discriminator, TheManifestCanSayIt) {
  const auto plain = [](const TypeRef& seq) {
    return structure("v", {{"kind", u32()}, {"more", u32()}, {"", union_of("", {{"tcp", structure("t", {{"n", seq}})}, {"udp", u64()}})}});
  };
  EXPECT_THAT(codes(diff(plain(u32()), plain(u64())).refusals), ElementsAre("union"));
  std::map<std::string, FieldRule> rules;
  rules["tcp"].in_union = UnionRule{"kind", {{"6", "tcp"}, {"17", "udp"}, {"136", "udp"}}, true};
  rules["tcp.n"].merge = Merge::kSum;
  const auto d = diff(plain(u32()), plain(u64()), rules);
  EXPECT_THAT(messages(d.refusals), IsEmpty());
  EXPECT_EQ(field(d, "tcp.n")->merge, "sum");
  EXPECT_EQ(field(d, "udp")->when, "kind is 136 or 17");
  EXPECT_EQ(d.unions.at(0).values.size(), 3U);
  EXPECT_TRUE(std::ranges::any_of(d.ops, [](const SyncField& op) { return op.in_union == 1 && op.arm == 0 && op.zero; }));
  EXPECT_THAT(d.notes, Contains(HasSubstr("gets zero")));
  EXPECT_THAT(field_names({plain(u32()), 16}), Contains("tcp.n"));
}

TEST(Discriminator, EnumeratorsThatMovedAreFoundByName) {
  const auto d = diff(kOld, value(members(u32()), kTagged, kinds(2, 1)));
  EXPECT_THAT(messages(d.refusals), IsEmpty());
  for (const SyncArm& arm : d.unions.at(0).values) EXPECT_EQ(arm.value0 + arm.value1, 3U);
  EXPECT_FALSE(d.remaps.empty());
}

// A new enumerator's number may have been another one's: what the old generation wrote is never taken for it.
TEST(Discriminator, ANewValueIsNoOldOne) {
  const auto kind = enumeration("kind", {{"ICMP", 1}, {"TCP", 2}, {"UDP", 3}});
  const auto of = [](const TypeRef& seq) {
    return union_of("u", {{"tcp", structure("tcp", {{"seq", seq}}), {"mapshift:when=TCP"}}, {"icmp", structure("icmp", {{"id", u32()}}), {"mapshift:when=ICMP"}}});
  };
  const auto d = diff(value(of(u32())), value(of(u64()), kTagged, kind));
  EXPECT_THAT(messages(d.refusals), IsEmpty());
  ASSERT_EQ(d.unions.at(0).values.size(), 2U);
  for (const SyncArm& arm : d.unions[0].values) {
    if (arm.value1 == 2) EXPECT_EQ(arm.value0, 1U);
    if (arm.value1 == 1) EXPECT_GT(arm.value0, UINT32_MAX);
  }
}

TEST(Discriminator, WithTheSameMembersThereIsNothingToDo) {
  EXPECT_TRUE(diff(kOld, value(members(u32()))).identical);
  EXPECT_FALSE(diff(kOld, value(members(u64()))).identical);
}

TEST(Discriminator, MembersComeGoAndAreRenamed) {
  const auto with = [](std::vector<FieldOf> more) {
    std::vector<FieldOf> all{{"tcp", structure("t", {{"n", u64()}}), {"mapshift:when=TCP"}}};
    all.insert(all.end(), more.begin(), more.end());
    return value(union_of("u", all));
  };
  const auto two = with({{"udp", u32(), {"mapshift:when=UDP"}}});
  const auto added = diff(with({{"raw", u64()}}), with({{"raw", u64()}, {"udp", u32(), {"mapshift:when=UDP"}}}));
  EXPECT_THAT(messages(added.refusals), IsEmpty());
  EXPECT_EQ(field(added, "u.udp")->change, "new");
  EXPECT_THAT(messages(added.warnings), HasSubstr("cannot read after a rollback"));
  const auto gone = diff(two, with({{"raw", u64()}}));
  EXPECT_THAT(messages(gone.refusals), IsEmpty());
  EXPECT_THAT(messages(gone.warnings), HasSubstr("the member udp is not in the new generation"));
  const auto renamed = diff(two, with({{"datagram", u64(), {"mapshift:when=UDP", "mapshift:from=udp"}}}));
  EXPECT_THAT(messages(renamed.refusals), IsEmpty());
  EXPECT_EQ(field(renamed, "u.datagram")->from, "u.udp");
  EXPECT_THAT(messages(renamed.warnings), IsEmpty());
}

TEST(Discriminator, AnAnonymousUnionMayGetMembers) {
  const auto of = [](std::vector<FieldOf> all) { return structure("v", {{"kind", u32()}, {"", tagged(union_of("", all))}}); };
  const FieldOf a{"a", u32(), {"mapshift:when=1"}}, wide{"a", u64(), {"mapshift:when=1"}}, b{"b", u32(), {"mapshift:when=2"}}, c{"c", u32(), {"mapshift:when=3"}};
  const auto d = diff(of({a, b}), of({wide, b, c}));
  EXPECT_THAT(messages(d.refusals), IsEmpty());
  EXPECT_EQ(field(d, "a")->change, "widened u32 to u64");
  EXPECT_EQ(field(d, "c")->change, "new");
}

TEST(Discriminator, TwoUnionsMayShareOne) {
  const auto address = [](const TypeRef& v4) { return union_of("a", {{"v4", v4, {"mapshift:when=2"}}, {"v6", array(u8(), 16), {"mapshift:when=10"}}}); };
  const auto of = [&](const TypeRef& v4) {
    return structure("v", {{"family", u16()}, {"from", address(v4), {"mapshift:union=family"}}, {"to", address(v4), {"mapshift:union=family"}}});
  };
  const auto d = diff(of(u32()), of(u64()));
  EXPECT_THAT(messages(d.refusals), IsEmpty());
  EXPECT_EQ(d.unions.size(), 2U);
  EXPECT_EQ(std::ranges::count(d.ops, kDiscriminator, &SyncField::arm), 1);
  const auto tag = std::ranges::find(d.ops, kDiscriminator, &SyncField::arm);
  EXPECT_EQ(tag, d.ops.end() - 1);
  EXPECT_NE(tag->group, 0) << "sixteen bytes cannot be written at once: the rest of the value is not kept from it";
}

TEST(Discriminator, IsExactWhereItNeverChangesInPlaceOrALockIsHeld) {
  SchemaRequest request{.where = "maps.m", .old_value = {kOld, kOld->size}, .new_value = {value(members(u64())), 24}};
  request.new_value.size = request.new_value.type->size;
  EXPECT_TRUE(field(diff_values(request), "u.tcp.seq")->exact);
  request.infer = [](uint32_t, uint32_t, uint32_t offset1, uint32_t) {
    return offset1 == 0 ? std::optional(InferredMerge{Merge::kLatest, "set at insn 5 of p"}) : std::nullopt;
  };
  const SchemaDiff d = diff_values(request);
  EXPECT_FALSE(field(d, "u.tcp.seq")->exact);
  EXPECT_THAT(field(d, "u.tcp.seq")->reason, HasSubstr("set at insn 5 of p"));
  request.infer = {};
  request.code_known = false;
  EXPECT_FALSE(field(diff_values(request), "u.tcp.seq")->exact);
}

TEST(Discriminator, WhatCannotBeIsRefused) {
  const auto changed = members(u64());
  const auto why = [&](const TypeRef& after) { return messages(diff(kOld, after).refusals); };
  EXPECT_THAT(why(value(changed, {"mapshift:union=kin"})), HasSubstr("kin is not a field"));
  EXPECT_THAT(why(structure("v", {{"kind", u32()}, {"fresh", u32()}, {"u", changed, {"mapshift:union=fresh"}}})), HasSubstr("fresh is new"));
  EXPECT_THAT(why(structure("v", {{"kind", array(u8(), 4)}, {"more", u32()}, {"u", changed, kTagged}})), HasSubstr("aligned integer"));
  EXPECT_THAT(why(value(union_of("u", {{"tcp", u64(), {"mapshift:when=ICMP"}}, {"udp", u32()}}))), HasSubstr("neither a number nor an enumerator"));
  EXPECT_THAT(why(value(union_of("u", {{"tcp", u64()}, {"udp", u32()}}))), HasSubstr("MS_WHEN"));
  EXPECT_THAT(why(value(union_of("u", {{"tcp", u64(), {"mapshift:when=TCP"}}, {"udp", u32(), {"mapshift:when=1"}}}))), HasSubstr("more than one member"));
  EXPECT_THAT(why(value(union_of("u", {{"tcp", u64(), {"mapshift:when=TCP"}}, {"udp", u32(), {"mapshift:when=0x1ffffffff"}}}))), HasSubstr("does not fit"));
  EXPECT_THAT(why(structure("v", {{"kind", kinds(), {"mapshift:merge=max"}}, {"more", u32()}, {"u", changed, kTagged}})), HasSubstr("only latest"));
  EXPECT_THAT(why(structure("v", {{"kind", kinds()}, {"more", u32()}, {"u", changed, {"mapshift:merge=max"}}})), HasSubstr("MS_WHEN"));
  EXPECT_THAT(why(structure("v", {{"kind", kinds()}, {"more", u32(), {"mapshift:when=1"}}, {"u", changed, kTagged}})), HasSubstr("MS_WHEN"));
  EXPECT_THAT(why(structure("v", {{"kind", kinds(), kTagged}, {"more", u32()}, {"u", changed}})), HasSubstr("MS_UNION"));
  const auto nested = structure("v", {{"kind", kinds()}, {"more", u32()}, {"u", array(changed, 2), kTagged}});
  EXPECT_THAT(messages(diff(structure("v", {{"kind", kinds()}, {"more", u32()}, {"u", array(members(u32()), 2), kTagged}}), nested).refusals), HasSubstr("in an array"));
  const auto timer = union_of("u", {{"tcp", structure("bpf_timer", {{"x", u64()}}), {"mapshift:when=TCP"}}, {"udp", u32()}});
  EXPECT_THAT(why(value(timer)), HasSubstr("belongs to the kernel"));
  std::map<std::string, FieldRule> rules;
  rules["u"].in_union = UnionRule{"kind", {{"TCP", "tpc"}}, false};
  EXPECT_THAT(messages(diff(kOld, value(changed), rules).refusals), HasSubstr("no member tpc"));
}

TEST(Discriminator, HostileUnionsEndSoonAndInside) {
  std::vector<FieldOf> all, many;
  for (int i = 0; i < 4000; ++i) all.push_back({"m" + std::to_string(i), u32(), {"mapshift:when=" + std::to_string(i)}});
  EXPECT_THAT(messages(diff(value(union_of("u", all)), value(union_of("u", all))).refusals), HasSubstr("more than 64 members"));
  std::vector<FieldOf> a{{"kind", u32()}}, b{{"kind", u32()}};
  for (int i = 0; i < 20; ++i) {
    const std::string n = std::to_string(i);
    a.push_back({"u" + n, union_of("u", {{"x", u32(), {"mapshift:when=1"}}, {"y", u64()}}), kTagged});
    b.push_back({"u" + n, union_of("u", {{"x", u64(), {"mapshift:when=1"}}, {"y", u64()}}), kTagged});
  }
  EXPECT_THAT(messages(diff(structure("v", a), structure("v", b)).refusals), HasSubstr("at most 16 unions"));
  Type liar = *members(u32());
  liar.members[1].bit_offset = 8U * 4000;
  EXPECT_THAT(messages(diff(kOld, value(make(liar))).refusals), HasSubstr("contradicts itself"));
  Type huge = *members(u32());
  huge.members[0].type = array(u8(), 1U << 30);
  EXPECT_THAT(messages(diff(kOld, value(make(huge))).refusals), Not(IsEmpty()));
  TypeRef deep = u32();
  for (int i = 0; i < 100; ++i) deep = structure("s", {{"in", deep}});
  EXPECT_THAT(messages(diff(kOld, value(union_of("u", {{"tcp", deep, {"mapshift:when=TCP"}}, {"udp", u32()}}))).refusals), HasSubstr("nests deeper"));
}

}  // namespace
}  // namespace mapshift::update
