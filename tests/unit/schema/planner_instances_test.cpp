// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "planner_testing.h"
#include "update/instances.h"
#include "update/load_request.h"

namespace mapshift::update {
namespace {
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Swap = ProgramPlan::Swap;

void attach(GenerationInput& side, const std::vector<std::string>& instances) {
  side.manifest.instances.clear();
  std::erase_if(side.manifest.programs, [](const auto& program) { return program.first.starts_with("count"); });
  side.manifest.programs["count"];
  for (const std::string& name : instances) {
    side.manifest.instances.push_back({{"name", name}});
    side.manifest.programs[name.empty() ? "count" : "count@" + name].attach = xdp("eth-" + name);
  }
}

// Instances a and b of a module with a program of theirs, one that is attached once, and maps of each kind.
Two two_instances() {
  Two two;
  two.maps(map_of("flows", MapType::kHash, u32(), v1()), map_of("flows", MapType::kHash, u32(), v2()));
  two.maps(map_of("own", MapType::kHash, u32(), v1()), map_of("own", MapType::kHash, u32(), v2()));
  two.maps(map_of("same", MapType::kHash, u32(), v1()), map_of("same", MapType::kHash, u32(), v1()));
  for (GenerationInput* side : {&two.before, &two.after}) {
    side->object.programs = {program_of("count"), program_of("watch", 5)};
    side->manifest.maps["own"].per_instance = side->manifest.maps["same"].per_instance = true;
    AttachSpec watch;
    watch.type = "tracepoint";
    side->manifest.programs["watch"].attach = watch;
    attach(*side, {"a", "b"});
  }
  two.env.swap_modes = {{"count@a", Swap::kNative}, {"count@b", Swap::kNative}, {"count@c", Swap::kNative}, {"count", Swap::kNative},
                        {"watch", Swap::kDispatcher}};
  return two;
}

std::vector<std::string> programs(const Plan& plan) {
  std::vector<std::string> all;
  for (const ProgramPlan& p : plan.programs) all.push_back(p.name + ":" + p.record.swap + ":" + std::to_string(p.record.order));
  return all;
}
std::vector<std::string> maps(const Plan& plan) {
  std::vector<std::string> all;
  for (const MapPlan& m : plan.maps) all.push_back(m.name + "<" + m.from + ":" + m.record.policy);
  return all;
}

TEST(PlanInstances, OneLineForEachAndOneForWhatTheyShare) {
  Two two = two_instances();
  two.env.order = [](const CodeFacts&, const std::vector<std::string>& names) {
    EXPECT_THAT(names, ElementsAre("count", "watch"));
    return std::vector<ProgramOrder>{{"watch", 1, "reads flows, which count writes"}, {"count", 2, ""}};
  };
  const Plan plan = two.plan();
  EXPECT_THAT(messages(plan.refusals), IsEmpty());
  EXPECT_THAT(programs(plan), ElementsAre("watch:dispatcher:1", "count@a:native:2", "count@b:native:2"));
  EXPECT_THAT(maps(plan), ElementsAre("flows<flows:sync", "own@a<own@a:sync", "own@b<own@b:sync", "same@a<same@a:reuse", "same@b<same@b:reuse"));
  EXPECT_EQ(map_plan(plan, "own@b").sync->fields.size(), map_plan(plan, "flows").sync->fields.size());
  EXPECT_EQ(plan.programs[1].attach.interface, "eth-a");
}

TEST(PlanInstances, WhatLostItsPlaceIsAttachedAnew) {
  Two two = two_instances();
  two.env.gone = {"count@b"};
  const Plan plan = two.plan();
  EXPECT_THAT(messages(plan.refusals), IsEmpty());
  EXPECT_THAT(programs(plan), ElementsAre("count@a:native:1", "count@b:attach:1", "watch:dispatcher:2"));
  EXPECT_THAT(messages(plan.warnings), HasSubstr("count@b is attached nowhere now"));
  EXPECT_EQ(map_plan(plan, "own@b").record.policy, "sync");  // what it counted before is kept
}

TEST(PlanInstances, OneInstancesCounterIsNamedInFull) {
  const Two two = two_instances();
  EXPECT_TRUE(check_own_map(two.after.manifest, two.after.object, "own"));
  EXPECT_TRUE(check_own_map(two.after.manifest, two.after.object, "own@a"));
  EXPECT_THAT(check_own_map(two.after.manifest, two.after.object, "own@c").error().message, HasSubstr("the module's are a, b"));
  EXPECT_THAT(check_own_map(two.after.manifest, two.after.object, "flows@a").error().message, HasSubstr("name it flows"));
}

TEST(PlanInstances, WhatIsNewBeginsEmptyAndWhatIsGoneIsDetached) {
  Two two = two_instances();
  attach(two.after, {"b", "c"});
  const Plan plan = two.plan();
  EXPECT_THAT(messages(plan.refusals), IsEmpty());
  EXPECT_THAT(programs(plan), ElementsAre("count@b:native:1", "count@c:attach:1", "watch:dispatcher:2", "count@a:detach:3"));
  EXPECT_THAT(maps(plan), ElementsAre("flows<flows:sync", "own@b<own@b:sync", "own@c<:reset", "same@b<same@b:reuse", "same@c<:reset"));
  EXPECT_THAT(map_plan(plan, "own@c").record.reason, HasSubstr("\"c\" is new"));
  EXPECT_THAT(map_plan(plan, "own@c").record.fields, IsEmpty());
  EXPECT_THAT(messages(plan.warnings), HasSubstr("own@a has no successor"));
  EXPECT_THAT(messages(plan.warnings), HasSubstr("same@a has no successor"));
}

TEST(PlanInstances, TheOneWithoutANameContinuesAModuleThatHadNone) {
  Two two = two_instances();
  two.before.manifest.instances.clear();
  std::erase_if(two.before.manifest.programs, [](const auto& program) { return program.first.starts_with("count@"); });
  two.before.manifest.programs["count"].attach = xdp("eth-");
  attach(two.after, {"", "b"});
  const Plan plan = two.plan();
  EXPECT_THAT(messages(plan.refusals), IsEmpty());
  EXPECT_THAT(programs(plan), ElementsAre("count:native:1", "count@b:attach:1", "watch:dispatcher:2"));
  EXPECT_THAT(maps(plan), ElementsAre("flows<flows:sync", "own<own:sync", "own@b<:reset", "same<same:reuse", "same@b<:reset"));

  attach(two.after, {"a"});
  two.after.manifest.programs["count@a"].attach = xdp("eth-");
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("count@a would take the place of count"));
}

TEST(PlanInstances, WhoseAMapIsDoesNotChangeSilently) {
  Two two = two_instances();
  two.after.manifest.maps["flows"].per_instance = true;
  two.after.manifest.maps["own"].per_instance = false;
  const std::string refusals = messages(two.plan().refusals);
  EXPECT_THAT(refusals, HasSubstr("flows was one map for all instances"));
  EXPECT_THAT(refusals, HasSubstr("own was one map for each instance"));
  two.after.manifest.maps["flows"].policy = two.after.manifest.maps["own"].policy = Policy::kReset;
  EXPECT_THAT(messages(two.plan().refusals), IsEmpty());
}

TEST(PlanInstances, AnotherPlaceOfOneIsRefusedAsEver) {
  Two two = two_instances();
  two.after.manifest.programs["count@b"].attach->interface = "eth9";
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("the interface changed from \"eth-b\" to \"eth9\""));
}

TEST(PlanInstances, AProgramThatIsAttachedOnceUsesWhatAllShare) {
  Two two = two_instances();
  two.after.object.programs[1].code.relocs = {{0, Reloc::Kind::kMap, "flows"}, {1, Reloc::Kind::kCall, "helper"}};
  EXPECT_THAT(messages(two.plan().refusals), IsEmpty());
  two.after.object.subprograms["helper"].relocs = {{0, Reloc::Kind::kMap, "own"}};
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("watch is attached once and uses own"));
}

TEST(PlanInstances, ARingThatTheAgentReadsIsShared) {
  Two two = two_instances();
  two.maps(map_of("events", MapType::kRingbuf, nullptr, nullptr, 4096), map_of("events", MapType::kRingbuf, nullptr, nullptr, 4096));
  two.after.manifest.ringbufs["events"];
  EXPECT_THAT(messages(two.plan().refusals), IsEmpty());
  two.after.manifest.maps["events"].per_instance = true;
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("one ring buffer for all instances"));
}

TEST(PlanInstances, MemoryIsThatOfAllOfThem) {
  Two two = two_instances();
  const uint64_t both = two.plan().memory_bytes;
  attach(two.before, {"a"});
  attach(two.after, {"a"});
  EXPECT_GT(both, two.plan().memory_bytes);
}

TEST(PlanInstances, AreLoadedUnderTheirNames) {
  Two two = two_instances();
  two.maps(map_of("jumps", MapType::kProgArray, nullptr, nullptr), map_of("jumps", MapType::kProgArray, nullptr, nullptr));
  const Plan plan = two.plan();
  const auto request = load_request(two.after.manifest, two.after.object, "/o", Paths("/fs", "meter"), 2, "", &plan);
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_THAT(request->instances, ElementsAre("a", "b"));
  EXPECT_THAT(request->instance_maps, ElementsAre("jumps", "own", "same"));
  EXPECT_THAT(request->instance_programs, ElementsAre("count"));
  EXPECT_EQ(request->hooks.at("count@b").interface, "eth-b");
  EXPECT_TRUE(request->hooks.contains("watch"));
  EXPECT_FALSE(request->hooks.contains("count"));
  EXPECT_EQ(request->reuse.at("same@b"), "/fs/mapshift/meter/gen/1/maps/same@b");
}

}  // namespace
}  // namespace mapshift::update
