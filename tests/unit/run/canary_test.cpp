// SPDX-License-Identifier: Apache-2.0
// A share of events goes to the new generation, in steps that are judged one by one.
#include <gmock/gmock.h>

#include "run_fixture.h"

namespace mapshift::update {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

slo::Objective few_drops() {
  slo::Objective objective;
  objective.name = "drops";
  objective.indicator = slo::Indicator::kVerdict;
  objective.program = "meter";
  objective.value = "XDP_DROP";
  objective.max = 0.1;
  return objective;
}

// Judged by what `drops` says of each reading: how many of ten events were dropped since the one before.
void judge(World& world, std::function<uint64_t(uint32_t share)> drops) {
  world.input.analysis.interval = std::chrono::milliseconds(10);
  world.input.analysis.objectives = {few_drops()};
  world.input.plan.canary->step_seconds = 0.05;
  world.kernel.sides = [drops = std::move(drops), counted = SidesReport()](const std::string&, uint32_t share) mutable {
    const uint64_t dropped = drops(share);
    counted.to.verdicts[1] += dropped;
    counted.to.verdicts[2] += 10 - dropped;
    counted.to.events += 10;
    return counted;
  };
}

std::vector<uint32_t> shares_of(const World& world) {
  std::vector<uint32_t> shares;
  for (const std::string& call : world.steps.calls()) {
    if (const size_t at = call.find(" share "); at != std::string::npos) shares.push_back(static_cast<uint32_t>(std::stoul(call.substr(at + 7))));
  }
  return shares;
}

constexpr uint32_t kQuarter = 1u << 30, kHalf = 1u << 31;

TEST(RunCanary, GoesUpStepByStepAndLosesNothing) {
  World world(World::Moves::kCanary);
  judge(world, [](uint32_t) { return 0; });
  world.begin().execute();
  EXPECT_EQ(world.state(), State::kCommitted) << world.explain();
  EXPECT_THAT(shares_of(world), ElementsAre(kQuarter, kHalf, 0, 0));  // the last: nothing is counted any more
  world.expect_running(2);
  world.expect_nothing_lost();
  world.expect_growing();
  const UpdateRecord record = world.run->record();
  ASSERT_EQ(record.comparison.size(), 4u);
  EXPECT_GT(record.comparison.front().to.events, 0u);
  EXPECT_FALSE(record.canary);  // the plan of this test has one, its record none
}

TEST(RunCanary, ABreachInAStepSendsEverythingBack) {
  World world(World::Moves::kCanary);
  world.input.record.canary = CanaryRecord{0, 0, {0.25, 0.5}, "random"};
  world.journal->record.canary = world.input.record.canary;
  judge(world, [](uint32_t share) -> uint64_t { return share == kHalf ? 5 : 0; });
  world.begin().execute();
  EXPECT_EQ(world.state(), State::kRolledBack) << world.explain();
  EXPECT_THAT(shares_of(world), ElementsAre(kQuarter, kHalf, 0));
  EXPECT_THAT(world.reason(), HasSubstr("canary at 50 %: drops"));
  EXPECT_EQ(world.run->record().trigger, "objective");
  EXPECT_EQ(world.run->record().canary->step, 2);
  EXPECT_GT(world.run->record().rollback_seconds, 0);
  world.expect_running(1);
  world.expect_nothing_lost();
}

TEST(RunCanary, AnOrderEndsIt) {
  for (const Order order : {Order::kRollback, Order::kAbort, Order::kStop, Order::kCommit}) {
    World world(World::Moves::kCanary);
    judge(world, [](uint32_t) { return 0; });
    world.input.plan.canary->step_seconds = 3600;
    world.begin();
    world.steps.on_call([&, sides = 0](size_t, const std::string& call) mutable {
      if (call.find("side_stats") != 0 || ++sides != 2) return;
      EXPECT_TRUE(world.run->order(order, "because", "operator"));
    });
    world.run->execute();
    const State expected = order == Order::kCommit ? State::kCommitted : order == Order::kStop ? State::kAborted : State::kRolledBack;
    EXPECT_EQ(world.state(), expected) << world.explain();
    EXPECT_TRUE(world.run->ended());
    world.expect_running(order == Order::kCommit ? 2 : 1);
    world.expect_nothing_lost();
  }
}

// Both generations' run times are the dispatchers': what the kernel measured before is another clock's.
TEST(RunCanary, RunTimesAreComparedByOneClock) {
  World world(World::Moves::kCanary);
  world.input.analysis.interval = std::chrono::milliseconds(10);
  slo::Objective time;
  time.name = "time";
  time.indicator = slo::Indicator::kProgram;
  time.program = "meter";
  time.value = "run_time_avg";
  time.max_increase = 0.2;
  world.input.analysis.objectives = {time};
  world.input.plan.canary->step_seconds = 0.05;
  world.kernel.sides = [counted = SidesReport()](const std::string&, uint32_t) mutable {
    counted.to.timed += 50;
    counted.to.run_ns += 50 * 1'000'000;  // far above what the fake kernel says of its programs
    return counted;
  };
  world.begin().execute();
  EXPECT_EQ(world.state(), State::kCommitted) << world.explain();
  EXPECT_THAT(shares_of(world), ElementsAre(0, kQuarter, kHalf, 0));
}

TEST(RunCanary, WhatIsUnprovenIsHeldAndNotPromoted) {
  World world(World::Moves::kCanary);
  judge(world, [](uint32_t) { return 0; });
  world.input.analysis.objectives.front().min_samples = 1e9;
  world.begin();
  world.observer.on_changed = [&, held = false](const UpdateRecord& record) mutable {
    if (held || record.reason.find("held at a canary of 25 %") != 0) return;
    held = true;
    EXPECT_TRUE(world.run->order(Order::kRollback, "enough", "operator"));
  };
  world.run->execute();
  EXPECT_EQ(world.state(), State::kRolledBack) << world.explain();
  EXPECT_THAT(shares_of(world), ElementsAre(kQuarter, 0));
}

}  // namespace
}  // namespace mapshift::update
