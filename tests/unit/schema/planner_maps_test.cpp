// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "planner_testing.h"

namespace mapshift::update {
namespace {
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(PlanMaps, IdenticalIsReusedAndChangedIsSynchronised) {
  Two two;
  two.maps(map_of("same", MapType::kHash, u32(), v1()), map_of("same", MapType::kHash, u32(), v1()));
  two.maps(map_of("flows", MapType::kLruHash, u32(), v1()), map_of("flows", MapType::kLruHash, u32(), v2()));
  two.after.object.maps.push_back(map_of("fresh", MapType::kHash, u32(), v1()));
  const Plan plan = two.plan();
  EXPECT_THAT(messages(plan.refusals), IsEmpty());
  EXPECT_EQ(map_plan(plan, "same").policy, Policy::kReuse);
  EXPECT_EQ(map_plan(plan, "fresh").policy, Policy::kReset);
  EXPECT_EQ(map_plan(plan, "fresh").from, "");
  const MapPlan& flows = map_plan(plan, "flows");
  EXPECT_EQ(flows.policy, Policy::kSync);
  EXPECT_EQ(flows.record.reason, "value layout differs");
  EXPECT_EQ(flows.record.fields.size(), 2U);
  ASSERT_TRUE(flows.sync);
  EXPECT_EQ(flows.sync->value_size1, 16U);
  EXPECT_EQ(flows.sync->type0, MapType::kLruHash);
  EXPECT_THAT(codes(plan.warnings), ElementsAre("lru"));
  EXPECT_FALSE(plan.lossy);
  EXPECT_GT(plan.memory_bytes, 0U);
}

// A running generation was loaded with the agent's own, much larger ones in their place.
TEST(PlanMaps, TheMapsOfTheChangeLogAreNoState) {
  Two two;
  two.maps(map_of("ms_change_slots", MapType::kArray, u32(), u64(), 1024), map_of("ms_change_slots", MapType::kArray, u32(), u64(), 1));
  two.maps(map_of("ms_changes", MapType::kRingbuf, nullptr, nullptr, 1u << 24), map_of("ms_changes", MapType::kRingbuf, nullptr, nullptr, 65536));
  two.before.object.maps.push_back(map_of("ms_change_lost", MapType::kPercpuArray, u32(), u64(), 1024));
  const Plan plan = two.plan();
  EXPECT_THAT(plan.maps, IsEmpty());
  EXPECT_THAT(plan.refusals, IsEmpty());
  EXPECT_THAT(plan.warnings, IsEmpty());
}

TEST(PlanMaps, GrowthIsSynchronisedAndShrinkingHasToFit) {
  Two two;
  two.maps(map_of("m", MapType::kHash, u32(), v1(), 100), map_of("m", MapType::kHash, u32(), v1(), 100));
  two.after.manifest.maps["m"].max_entries = 200;
  EXPECT_EQ(map_plan(two.plan(), "m").sync->max_entries1, 200U);
  EXPECT_EQ(map_plan(two.plan(), "m").record.reason, "max_entries changes from 100 to 200");
  two.after.manifest.maps["m"].max_entries = 50;
  EXPECT_THAT(codes(two.plan().refusals), ElementsAre("shrink"));
  two.env.live_entries["m"] = 51;
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("51 keys are live"));
  two.env.live_entries["m"] = 50;
  EXPECT_THAT(two.plan().refusals, IsEmpty());
  two.before.object.maps[0].type = two.after.object.maps[0].type = MapType::kArray;
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("every element of an array is live"));
}

TEST(PlanMaps, PoliciesOfTheManifest) {
  Two two;
  two.maps(map_of("m", MapType::kHash, u32(), v1()), map_of("m", MapType::kHash, u32(), v2()));
  MapRule& rule = two.after.manifest.maps["m"];
  rule.policy = Policy::kReuse;
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("packets: widened u32 to u64, moved from byte 0 to 8"));
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("size changed from 8 to 16"));
  rule.policy = Policy::kReset;
  EXPECT_TRUE(two.plan().lossy);
  EXPECT_TRUE(map_plan(two.plan(), "m").record.lossy);
  rule.policy = Policy::kRefuse;
  EXPECT_THAT(codes(two.plan().refusals), ElementsAre("policy-refuse"));
  rule.policy = Policy::kAuto;
  rule.klass = "scratch";
  EXPECT_EQ(map_plan(two.plan(), "m").policy, Policy::kReset);
  EXPECT_FALSE(two.plan().lossy);
  rule = {};
  rule.policy = Policy::kSync;
  two.after.object.maps[0] = two.before.object.maps[0];
  EXPECT_EQ(map_plan(two.plan(), "m").policy, Policy::kSync);
}

TEST(PlanMaps, RenamesAreDeclared) {
  Two two;
  two.maps(map_of("ct3", MapType::kHash, u32(), v1()), map_of("ct4", MapType::kHash, u32(), v1()));
  EXPECT_THAT(codes(two.plan().warnings), ElementsAre("map-dropped"));
  two.after.manifest.maps["ct4"].from = "ct3";
  EXPECT_EQ(map_plan(two.plan(), "ct4").policy, Policy::kReuse);
  EXPECT_EQ(map_plan(two.plan(), "ct4").from, "ct3");
  two.after.manifest.maps["ct4"].from = "ct33";
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("did you mean \"ct3\""));
  two.before.object.maps[0].name = "ct4";
  EXPECT_THAT(two.plan().refusals, IsEmpty()) << "renamed in an earlier update";
  two.after.object.maps.push_back(map_of("ct5", MapType::kHash, u32(), v1()));
  two.after.manifest.maps["ct5"].from = "ct4";
  EXPECT_THAT(codes(two.plan().refusals), ElementsAre("duplicate-from"));
}

TEST(PlanMaps, AMapOfMapsKnowsWhichOfThemWereRenamed) {
  Two two;
  MapSpec outer = map_of("tables", MapType::kHashOfMaps, u32(), nullptr);
  outer.value_size = 4;
  outer.inner = std::make_shared<const MapSpec>(map_of("tables.inner", MapType::kHash, u32(), v1()));
  MapSpec next = outer;
  next.inner = std::make_shared<const MapSpec>(map_of("tables.inner", MapType::kHash, u32(), v2()));
  two.maps(outer, next);
  two.maps(map_of("blue", MapType::kHash, u32(), v1()), map_of("green", MapType::kHash, u32(), v2()));
  two.after.manifest.maps["green"].from = "blue";
  const Plan plan = two.plan();
  EXPECT_THAT(messages(plan.refusals), IsEmpty());
  ASSERT_TRUE(plan.maps.at(0).sync);
  EXPECT_EQ(plan.maps.at(0).sync->renamed, (std::map<std::string, std::string>{{"green", "blue"}}));
}

TEST(PlanMaps, AFirstLoadHasNothingToContinue) {
  Two two;
  two.after.object.maps.push_back(map_of("ct4", MapType::kHash, u32(), v1()));
  two.after.manifest.maps["ct4"].from = "ct3";
  EXPECT_THAT(codes(two.plan().refusals), ElementsAre("unknown-name"));
  two.before.ref.generation = 0;
  EXPECT_THAT(two.plan().refusals, IsEmpty());
  EXPECT_EQ(map_plan(two.plan(), "ct4").record.reason, "new in this generation");
}

TEST(PlanMaps, EpochsMustAgree) {
  Two two;
  const auto tagged = structure("flow", {{"n", u64()}}, {"mapshift:epoch=2"}), plain = structure("flow", {{"n", u64()}});
  two.maps(map_of("m", MapType::kHash, u32(), plain), map_of("m", MapType::kHash, u32(), tagged));
  EXPECT_THAT(codes(two.plan().refusals), ElementsAre("epoch"));
  two.before.manifest.maps["m"].epoch = 2;
  EXPECT_EQ(map_plan(two.plan(), "m").policy, Policy::kReuse);
  two.before.manifest.maps.clear();
  two.after.manifest.maps["m"].policy = Policy::kReset;
  EXPECT_THAT(two.plan().refusals, IsEmpty());
}

TEST(PlanMaps, WhatCannotBeSynchronisedIsRefusedByName) {
  Two two;
  two.maps(map_of("q", MapType::kStackTrace, u32(), u64(), 10), map_of("q", MapType::kStackTrace, u32(), u64(), 20));
  two.maps(map_of("r", MapType::kRingbuf, nullptr, nullptr, 4096), map_of("r", MapType::kRingbuf, nullptr, nullptr, 4096));
  two.maps(map_of("j", MapType::kProgArray, u32(), u32(), 4), map_of("j", MapType::kProgArray, u32(), u32(), 8));
  two.maps(map_of("t", MapType::kHash, u32(), v1()), map_of("t", MapType::kArray, u32(), v1()));
  two.maps(map_of("k", MapType::kHash, u64(), v1()), map_of("k", MapType::kHash, u32(), v1()));
  two.maps(map_of("e", MapType::kPerfEventArray, u32(), u32(), 1), map_of("e", MapType::kPerfEventArray, u32(), u32(), 0));
  const Plan plan = two.plan();
  EXPECT_EQ(map_plan(plan, "r").policy, Policy::kReuse);
  EXPECT_EQ(map_plan(plan, "e").policy, Policy::kReuse) << "0 entries mean one for each CPU";
  EXPECT_EQ(map_plan(plan, "j").policy, Policy::kReset);
  EXPECT_FALSE(plan.lossy);
  EXPECT_THAT(codes(plan.refusals), ElementsAre("map-type", "type-changed", "key-changed"));
  EXPECT_THAT(messages(plan.refusals), HasSubstr("a stack_trace map"));
  EXPECT_THAT(messages(plan.refusals), HasSubstr("between which nothing converts"));
  EXPECT_THAT(messages(plan.refusals), HasSubstr("changed from u64 to u32, in which not every old key has a place"));
  EXPECT_FALSE(map_plan(plan, "k").sync);
}

TEST(PlanMaps, LargeKeysAndReadOnlyMaps) {
  Two two;
  const auto big = structure("k", {{"b", array(u8(), 65)}});
  two.maps(map_of("k", MapType::kHash, big, v1()), map_of("k", MapType::kHash, big, v2()));
  two.maps(map_of("r", MapType::kHash, u32(), v1()), map_of("r", MapType::kHash, u32(), v2()));
  two.after.object.maps[1].flags = 1U << 7;
  EXPECT_THAT(codes(two.plan().refusals), ElementsAre("key-too-large", "access-flags"));
}

// What an initial value does to a counter.
TEST(PlanMaps, AVariableThatMovesToAnotherSectionIsLost) {
  Two two;
  two.maps(section_of("bss", DataSection::kBss, {{"calls", u64()}, {"seen", u64()}}), section_of("bss", DataSection::kBss, {{"seen", u64()}}));
  two.maps(section_of("data", DataSection::kData, {{"x", u64()}}), section_of("data", DataSection::kData, {{"x", u64()}, {"calls", u64()}}));
  const Plan plan = two.plan();
  EXPECT_TRUE(plan.lossy);
  EXPECT_TRUE(map_plan(plan, "data").record.lossy);
  EXPECT_NE(map_plan(plan, "data").record.reason.find("calls moved here from bss"), std::string::npos) << map_plan(plan, "data").record.reason;
}

TEST(PlanMaps, GlobalVariablesCarryOverByName) {
  Two two;
  two.maps(section_of("bss", DataSection::kBss, {{"total", u64(), {"mapshift:merge=sum"}}, {"last", u32()}}),
           section_of("bss", DataSection::kBss, {{"last", u64()}, {"added", u64()}, {"total", u64(), {"mapshift:merge=sum"}}}));
  two.maps(section_of("data", DataSection::kData, {{"x", u64()}}), section_of("data", DataSection::kData, {{"x", u64()}}));
  two.maps(section_of("rodata", DataSection::kRodata, {{"c", u64()}}), section_of("rodata", DataSection::kRodata, {{"c", u32()}}));
  two.after.object.maps[0].flags = 1024;  // set by libbpf where the kernel can
  const Plan plan = two.plan();
  EXPECT_THAT(messages(plan.refusals), IsEmpty());
  EXPECT_EQ(map_plan(plan, "data").policy, Policy::kReuse);
  EXPECT_EQ(map_plan(plan, "rodata").policy, Policy::kReset);
  EXPECT_EQ(map_plan(plan, "rodata").record.reason, "constants belong to the generation");
  const MapPlan& bss = map_plan(plan, "bss");
  ASSERT_TRUE(bss.sync);
  EXPECT_THAT(bss.sync->defaults1, IsEmpty());
  EXPECT_EQ(bss.record.fields[2].merge, "sum");
  EXPECT_FALSE(plan.lossy);
}

TEST(PlanMaps, AVariableThatMovesBetweenSectionsIsLostAndSaysSo) {
  Two two;
  two.before.object.maps.push_back(section_of("bss", DataSection::kBss, {{"x", u64()}, {"y", u64()}}));
  two.maps(section_of("data", DataSection::kData, {{"z", u64()}}), section_of("data", DataSection::kData, {{"z", u64()}, {"x", u64()}}));
  const Plan plan = two.plan();
  EXPECT_TRUE(plan.lossy);
  EXPECT_THAT(messages(plan.warnings), HasSubstr("x moved from bss to data"));
}

TEST(PlanMaps, LocksMayBeReusedAndTimersMayNot) {
  Two two;
  const auto lock = structure("v", {{"lock", structure("bpf_spin_lock", {{"val", u32()}})}, {"n", u32()}});
  const auto timer = structure("v", {{"t", structure("bpf_timer", {{"o", array(u64(), 2)}})}});
  two.maps(map_of("l", MapType::kHash, u32(), lock), map_of("l", MapType::kHash, u32(), lock));
  EXPECT_EQ(map_plan(two.plan(), "l").policy, Policy::kReuse);
  two.maps(map_of("t", MapType::kHash, u32(), timer), map_of("t", MapType::kHash, u32(), timer));
  EXPECT_THAT(codes(two.plan().refusals), ElementsAre("special-field"));
}

TEST(PlanMaps, MemoryIsCheckedBefore) {
  Two two;
  two.maps(map_of("m", MapType::kPercpuHash, u32(), v1(), 1000000), map_of("m", MapType::kPercpuHash, u32(), v2(), 1000000));
  two.env.possible_cpus = 4;
  const uint64_t needed = two.plan().memory_bytes;
  EXPECT_EQ(needed, 1000000ULL * (4 * 16 + 8 + 64) + 2000000ULL * (64 + 4 * (8 + 16) + 8 + 64));
  two.env.available_memory = needed;
  EXPECT_THAT(codes(two.plan().refusals), ElementsAre("memory"));
  two.env.available_memory = needed * 5 / 4;
  EXPECT_THAT(two.plan().refusals, IsEmpty());
}

TEST(PlanMaps, AllProblemsAtOnceAndInTheRecord) {
  Two two;
  two.maps(map_of("a", MapType::kHash, u32(), v1()), map_of("a", MapType::kArray, u32(), v1()));
  two.maps(map_of("b", MapType::kHash, u32(), structure("v", {{"n", u64()}})), map_of("b", MapType::kHash, u32(), structure("v", {{"n", u16()}})));
  two.after.manifest.maps["c"] = {};
  two.env.problems = {{"no-interface", "programs.p", "there is no interface eth9"}};
  const Plan plan = two.plan();
  EXPECT_THAT(codes(plan.refusals), ElementsAre("no-interface", "unknown-name", "type-changed"));
  EXPECT_TRUE(plan.lossy);
  const UpdateRecord record = to_record(plan);
  EXPECT_EQ(record.state, State::kPlanned);
  EXPECT_EQ(record.refusals.size(), 3U);
  EXPECT_EQ(record.maps.size(), 2U);
  EXPECT_EQ(record.to.version, "2.0.0");
  EXPECT_THAT(record.id, IsEmpty());
}

}  // namespace
}  // namespace mapshift::update
