// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "planner_testing.h"
#include "update/planner_programs.h"

namespace mapshift::update {
namespace {
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Swap = ProgramPlan::Swap;

Two one_program() {
  Two two;
  two.before.object.programs = two.after.object.programs = {program_of("p")};
  two.before.manifest.programs["p"].attach = two.after.manifest.programs["p"].attach = xdp("eth0");
  two.env.swap_modes["p"] = Swap::kNative;
  return two;
}

std::vector<std::string> steps(const Plan& plan) {
  std::vector<std::string> all;
  for (const ProgramPlan& p : plan.programs) all.push_back(p.name + ":" + p.record.swap + ":" + std::to_string(p.record.order));
  return all;
}

TEST(PlanPrograms, SwappedAttachedDetachedOrNeither) {
  Two two = one_program();
  two.before.object.programs.push_back(program_of("gone"));
  two.before.manifest.programs["gone"].attach = xdp("eth1");
  two.after.object.programs.push_back(program_of("tail"));
  two.after.object.programs.push_back(program_of("more"));
  two.after.manifest.programs["more"].attach = xdp("eth1");
  two.env.order = [](const CodeFacts&, const std::vector<std::string>& names) {
    EXPECT_THAT(names, ElementsAre("more", "p"));
    return std::vector<ProgramOrder>{{"p", 1, "reads stats, which more writes"}, {"more", 2, ""}};
  };
  const Plan plan = two.plan();
  EXPECT_THAT(messages(plan.refusals), IsEmpty());
  EXPECT_THAT(steps(plan), ElementsAre("p:native:1", "more:attach:2", "gone:detach:3", "tail:none:0"));
  EXPECT_EQ(plan.programs[0].record.type, "xdp");
  EXPECT_THAT(plan.programs[0].record.reason, HasSubstr("reads stats"));
}

TEST(PlanPrograms, AnotherHookIsRefused) {
  Two two = one_program();
  two.after.manifest.programs["p"].attach->interface = "eth1";
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("the interface changed from \"eth0\" to \"eth1\""));
}

TEST(PlanPrograms, TypesAndSleepers) {
  Two two = one_program();
  two.after.object.programs[0].type = 3;
  two.after.object.programs[0].sleepable = true;
  two.after.object.programs[0].expected_attach_type = 1;
  std::vector<std::string> found = codes(two.plan().refusals);
  EXPECT_THAT(found, ::testing::UnorderedElementsAre("program-type", "sleepable", "attach-kind"));
}

TEST(PlanPrograms, ProgramsThatMaySleepNeedAnOverlapAndAGate) {
  Two two = one_program();
  for (GenerationInput* side : {&two.before, &two.after}) side->object.programs[0].sleepable = true;
  EXPECT_THAT(codes(two.plan().refusals), ElementsAre("sleepable"));
  for (GenerationInput* side : {&two.before, &two.after}) side->manifest.programs.at("p").attach->trace.overlap = true;
  EXPECT_THAT(codes(two.plan().refusals), ElementsAre("no-gate"));
  for (GenerationInput* side : {&two.before, &two.after}) {
    side->object.maps.push_back(map_of("ms_gate_p", MapType::kArray, u32(), u64()));
    side->object.maps.push_back(map_of("ms_turn_p", MapType::kHash, u64(), u64()));
  }
  two.env.swap_modes["p"] = ProgramPlan::Swap::kOverlap;
  const Plan plan = two.plan();
  EXPECT_THAT(codes(plan.refusals), ElementsAre());
  EXPECT_EQ(plan.programs[0].record.swap, "overlap");
  for (const MapPlan& map : plan.maps) EXPECT_EQ(map.policy, Policy::kReuse) << map.name;
  for (GenerationInput* side : {&two.before, &two.after}) side->object.programs[0].sleepable = false;
  EXPECT_THAT(codes(two.plan().refusals), ElementsAre("overlap"));
}

TEST(PlanPrograms, AHostThatCannotSwapIsSaidOnce) {
  Two two = one_program();
  two.env.swap_modes.clear();
  EXPECT_THAT(codes(two.plan().refusals), ElementsAre("no-swap"));
  two.env.problems = {{"attach-type", "programs.p.attach", "kprobe is not served yet"}};
  EXPECT_THAT(codes(two.plan().refusals), ElementsAre("attach-type"));
}

TEST(PlanPrograms, InferenceAndItsBoundsReachThePlan) {
  Two two = one_program();
  two.maps(map_of("m", MapType::kHash, u32(), structure("v", {{"n", u32()}})), map_of("m", MapType::kHash, u32(), structure("v", {{"n", u64()}})));
  two.env.infer = [](const CodeFacts&, const std::string& a, const CodeFacts&, const std::string& b, uint32_t, uint32_t, uint32_t,
                     uint32_t) -> std::optional<InferredMerge> { return InferredMerge{Merge::kSum, a + b, true, false}; };
  two.after.facts.gave_up = {"p: too many instructions"};
  const Plan plan = two.plan();
  EXPECT_EQ(plan.maps[0].record.fields[0].merge, "sum");
  EXPECT_EQ(plan.maps[0].record.fields[0].origin, "inferred");
  EXPECT_EQ(plan.maps[0].record.fields[0].reason, "mm");
  EXPECT_THAT(codes(plan.warnings), ElementsAre("analysis-bounded"));
}

// Planned again after a restart, on a host where the hook cannot be looked at any more.
TEST(PlanPrograms, WhatWasDecidedStands) {
  Plan plan;
  for (const char* name : {"a", "b", "c"}) plan.programs.emplace_back().name = name;
  plan.programs[2].swap = ProgramPlan::Swap::kDetach;
  UpdateRecord record;
  record.programs = {{"b", "xdp", "attach"}, {"a", "xdp", "overlap"}, {"c", "xdp", "of a later release"}};
  keep_swaps(record, plan);
  EXPECT_EQ(plan.programs[0].swap, ProgramPlan::Swap::kOverlap);
  EXPECT_EQ(plan.programs[1].swap, ProgramPlan::Swap::kAttach);
  EXPECT_EQ(plan.programs[2].swap, ProgramPlan::Swap::kDetach);
}

}  // namespace
}  // namespace mapshift::update
