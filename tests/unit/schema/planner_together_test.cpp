// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "planner_testing.h"
#include "update/planner_together.h"

namespace mapshift::update {
namespace {
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Swap = ProgramPlan::Swap;

// An XDP program in both generations, and a tracepoint that only the new one has.
Two two_programs() {
  Two two;
  two.before.object.programs = {program_of("p")};
  two.after.object.programs = {program_of("p"), program_of("t")};
  two.before.manifest.programs["p"].attach = two.after.manifest.programs["p"].attach = xdp("eth0");
  AttachSpec tracepoint;
  tracepoint.type = "tracepoint";
  two.after.manifest.programs["t"].attach = tracepoint;
  two.env.swap_modes["p"] = Swap::kNative;
  two.after.manifest.swap = SwapTogether::kTogether;
  return two;
}

TEST(PlanTogether, AllHooksHaveOneTurnBehindDispatchers) {
  const Plan plan = two_programs().plan();
  EXPECT_TRUE(plan.together);
  EXPECT_THAT(codes(plan.refusals), IsEmpty());
  for (const ProgramPlan& program : plan.programs) {
    EXPECT_EQ(program.record.order, 1) << program.name;
    EXPECT_THAT(program.record.reason, HasSubstr(program.name == "p" ? "together with t" : "together with p"));
  }
  EXPECT_EQ(plan.programs.front().record.swap, "dispatcher");
  EXPECT_EQ(plan.programs.front().swap, Swap::kNative);  // what its link can do
  EXPECT_EQ(to_record(plan).swap, "together");
  Two in_order = two_programs();
  in_order.after.manifest.swap = SwapTogether::kInOrder;
  EXPECT_FALSE(in_order.plan().together);
  EXPECT_EQ(to_record(in_order.plan()).swap, "in-order");
}

TEST(PlanTogether, AFlowNeedsPackets) {
  Two two = two_programs();
  two.after.manifest.canary = Canary{Canary::By::kFlow, {0.5}, 1};
  const Plan plan = two.plan();
  EXPECT_THAT(codes(plan.refusals), ElementsAre("no-flow"));
  EXPECT_THAT(plan.refusals[0].message, HasSubstr("t runs at a hook of type tracepoint"));
  two.after.manifest.canary->by = Canary::By::kRandom;
  EXPECT_THAT(codes(two.plan().refusals), IsEmpty());
  EXPECT_EQ(to_record(two.plan()).canary->by, "random");
}

TEST(PlanTogether, ACanarySaysWhatIsNotExactWhileBothWrite) {
  Two two = two_programs();
  two.maps(map_of("m", MapType::kHash, u32(), structure("v", {{"n", u32()}})), map_of("m", MapType::kHash, u32(), structure("v", {{"n", u64()}})));
  EXPECT_THAT(codes(two.plan().warnings), Not(Contains("canary-latest")));
  two.after.manifest.canary = Canary{Canary::By::kRandom, {0.5}, 1};
  EXPECT_THAT(codes(two.plan().warnings), Contains("canary-latest"));
  two.after.manifest.maps["m"].fields["n"].merge = Merge::kSum;
  EXPECT_THAT(codes(two.plan().warnings), Not(Contains("canary-latest")));
  MapAccess deletes;
  deletes.map = "m";
  deletes.program = "p";
  deletes.deletes = true;
  two.before.facts.maps = {deletes};
  EXPECT_THAT(codes(two.plan().warnings), Contains("canary-deletes"));
}

TEST(PlanTogether, ACanarySaysWhichObjectivesShowBothGenerations) {
  Two two = two_programs();
  const auto totals = [](std::string name) { return map_of(std::move(name), MapType::kPercpuArray, u32(), structure("t", {{"seen", u64()}, {"dropped", u64()}}), 1); };
  for (const char* name : {"shared", "fresh"}) two.maps(totals(name), totals(name));
  two.after.object.maps.push_back(totals("added"));
  two.maps(section_of(".bss", DataSection::kBss, {{"errors", u64()}}), section_of(".bss", DataSection::kBss, {{"errors", u64()}, {"more", u64()}}));
  two.after.manifest.maps["fresh"].policy = Policy::kReset;
  slo::Analysis analysis;
  const auto objective = [&](std::string name, std::string counter, std::string num, std::string den) {
    slo::Objective one;
    one.name = std::move(name);
    one.counter = std::move(counter), one.ratio_num = std::move(num), one.ratio_den = std::move(den);
    analysis.objectives.push_back(one);
  };
  objective("ratio", "", "shared.dropped", "shared.seen");
  objective("half", "", "fresh.dropped", "shared.seen");
  objective("own", "", "fresh.dropped", "fresh.seen");
  objective("new", "added.seen", "", "");
  objective("global", "errors", "", "");
  const auto mixed = [&] {
    std::vector<std::string> names;
    for (const Problem& problem : mixed_objectives(analysis, two.after.object, two.plan())) names.push_back(problem.where);
    return names;
  };
  EXPECT_THAT(mixed(), IsEmpty());
  two.after.manifest.canary = Canary{Canary::By::kRandom, {0.05, 0.5}, 1};
  EXPECT_THAT(mixed(), ElementsAre("analysis.objectives.ratio", "analysis.objectives.half", "analysis.objectives.global"));
  EXPECT_THAT(mixed_objectives(analysis, two.after.object, two.plan())[0].message, HasSubstr("at a share of 5 %"));
  analysis.bake = std::chrono::seconds(0);
  two.after.manifest.canary->step_seconds = 0;
  EXPECT_THAT(mixed(), IsEmpty());
}

}  // namespace
}  // namespace mapshift::update
