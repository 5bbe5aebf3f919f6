// SPDX-License-Identifier: Apache-2.0
// What ends an update by itself: limits of the copy and of the swap, full maps, and objectives.
#include <algorithm>
#include <cstring>
#include <future>
#include <thread>

#include "run_fixture.h"
#include "type_builder.h"

namespace mapshift::update {
namespace {

constexpr Nanos kLong = std::chrono::hours(1);

void expect_failed(World& world, const std::string& reason, const std::string& trigger) {
  world.begin().execute();
  EXPECT_EQ(world.state(), State::kFailed) << world.explain();
  EXPECT_NE(world.reason().find(reason), std::string::npos) << world.reason();
  EXPECT_EQ(world.run->record().trigger, trigger);
  world.expect_running(1);
  world.expect_nothing_lost();
}

bool swapped(const World& world) { return world.steps.find("swap ") != world.steps.calls().size(); }

TEST(RunLimits, TheCopyTakesTooLong) {
  World world;
  world.input.limits.migration_timeout = Nanos(0);
  expect_failed(world, "limits.migration_timeout", "stall");
  EXPECT_FALSE(swapped(world));
}

TEST(RunLimits, OnePassStalls) {
  World world;
  world.kernel.on_pass = [](PassReport& report, SyncPhase, const std::string&) { report.ended = report.began + std::chrono::seconds(11); };
  expect_failed(world, "limits.stall_timeout", "stall");
  EXPECT_FALSE(swapped(world));
}

TEST(RunLimits, TheNewMapIsFull) {
  World world;
  world.kernel.on_pass = [](PassReport& report, SyncPhase, const std::string& dir) {
    if (dir.ends_with("windows")) report.full1 = 3;
  };
  expect_failed(world, "map windows of the new generation is full: 3 keys", "cli");
  EXPECT_FALSE(swapped(world));
}

TEST(RunLimits, KeysThatTheNewLayoutCannotSayAreNoLackOfRoom) {
  World world;
  world.kernel.on_pass = [](PassReport& report, SyncPhase, const std::string& dir) {
    if (dir.ends_with("windows")) report.no_key1 = 2;
  };
  expect_failed(world, "map windows: 2 keys cannot be written in the new generation's layout", "cli");
  EXPECT_EQ(world.run->record().reason.find("max_entries"), std::string::npos);
  EXPECT_FALSE(swapped(world));
}

TEST(RunLimits, TheBaseIsFull) {
  World world;
  world.kernel.on_pass = [](PassReport& report, SyncPhase, const std::string&) { report.base_full = 5; };
  expect_failed(world, "5 keys found no room", "cli");
  EXPECT_FALSE(swapped(world));
}

// Found by the last look, when the swap was already intended.
TEST(RunLimits, TheBaseFillsJustBeforeTheSwap) {
  World world;
  world.kernel.on_pass = [&](PassReport& report, SyncPhase phase, const std::string&) {
    if (phase == SyncPhase::kPrecopy && world.journal->intent == kIntentSwap) report.base_full = 5;
  };
  expect_failed(world, "5 keys found no room", "cli");
  EXPECT_FALSE(swapped(world));
}

TEST(RunLimits, TheSwapTakesTooLongAndIsUndone) {
  World world;
  world.kernel.swap_takes = std::chrono::seconds(2);
  expect_failed(world, "limits.swap_timeout", "stall");
  EXPECT_TRUE(swapped(world));
}

TEST(RunLimits, PassesGoOnWhileTheyFindLessEachTimeAndEndWhenTheyDoNot) {
  for (const auto& [factor, passes] : {std::pair{0.5, 11}, {1.0, 2}, {0.95, 2}, {0.89, 30}}) {
    World world;
    double found = 100000;
    int seen = 0;
    world.kernel.on_pass = [&, factor = factor](PassReport& report, SyncPhase phase, const std::string& dir) {
      if (phase != SyncPhase::kPrecopy || !dir.ends_with("flows") || world.state() != State::kSyncing) return;
      report.keys = 1000;
      report.changed = static_cast<uint64_t>(found);
      found *= factor;
      ++seen;
    };
    world.begin().execute();
    EXPECT_EQ(world.state(), State::kCommitted) << factor;
    // One more look at each map is for what happened while the others were copied.
    EXPECT_LE(seen - 1, passes + 1) << factor;
    EXPECT_GE(seen - 1, passes) << factor;
  }
}

TEST(RunLimits, SomebodyWhoWritesToTheOldMapForEverIsSaid) {
  World world;
  world.input.limits.migration_timeout = std::chrono::milliseconds(100);
  world.kernel.on_pass = [](PassReport& report, SyncPhase phase, const std::string& dir) {
    if (phase == SyncPhase::kLiveNew && dir.ends_with("flows")) report.from_passive = 1;
  };
  world.begin().execute();
  EXPECT_EQ(world.state(), State::kCommitted);
  ASSERT_EQ(world.run->record().warnings.size(), 1u);
  EXPECT_EQ(world.run->record().warnings.front().code, "not-settled");
  EXPECT_EQ(world.run->record().warnings.front().where, "maps.flows");
}

// It would keep the agent from stopping, and a person from rolling back, for as long as the migration may take.
TEST(RunLimits, AnOrderDoesNotWaitForSuchAWriter) {
  for (const Order order : {Order::kRollback, Order::kStop}) {
    World world;
    world.input.limits.migration_timeout = kLong;
    world.kernel.on_pass = [](PassReport& report, SyncPhase phase, const std::string&) {
      if (phase == SyncPhase::kLiveNew) report.from_passive = 1;
    };
    world.begin();
    world.order_at("grace_period", order);
    world.run->execute();
    EXPECT_EQ(world.state(), order == Order::kStop ? State::kBaking : State::kRolledBack);
    EXPECT_TRUE(world.run->record().warnings.empty());
  }
}

TEST(RunLimits, KeysThatARollbackWouldLoseAreCounted) {
  World world;
  world.kernel.on_pass = [](PassReport& report, SyncPhase phase, const std::string& dir) {
    if (phase == SyncPhase::kLiveNew && dir.ends_with("flows")) report.full0 = 7, report.no_key0 = 2;
  };
  world.begin().execute();
  EXPECT_EQ(world.state(), State::kCommitted);
  EXPECT_EQ(world.run->record().maps.at(1).unsynced, 9u);
}

TEST(RunLimits, WhatDiffersIsLookedAtAgainAfterAnotherPass) {
  for (const auto& [looks, found] : {std::pair{std::vector<uint64_t>{}, 0u}, {{5, 0}, 0u}, {{5, 2, 0}, 0u}, {{5, 4, 3, 9}, 3u}}) {
    World world;
    world.kernel.mismatched = looks;
    world.begin().execute();
    EXPECT_EQ(world.state(), State::kCommitted);
    EXPECT_EQ(world.run->record().maps.at(1).mismatched, found);
    const auto calls = world.steps.calls();
    const auto is = [](const char* what) { return [what](const std::string& call) { return call.starts_with(what); }; };
    const auto first = std::find_if(calls.begin(), calls.end(), is("verify "));
    for (auto at = first; at != calls.end(); at = std::find_if(at + 1, calls.end(), is("verify "))) EXPECT_TRUE((at - 1)->starts_with("pass ")) << *(at - 1);
  }
}

// An objective on a counter of the fake's array `totals`; each reading finds `step` more than the one before.
struct Judged : World {
  uint64_t step = 0;
  uint64_t value = 0;

  explicit Judged(Nanos bake) {
    MapSpec map;
    map.name = "totals";
    map.type = MapType::kArray;
    map.key_size = 4;
    map.value_size = 8;
    map.value = types::structure("totals", {{"errors", types::u64()}});
    input.new_object.maps.push_back(map);
    input.old_object.maps.push_back(map);
    slo::Objective objective;
    objective.name = "errors";
    objective.counter = "totals.errors";
    objective.max = 10.0;
    objective.interval = std::chrono::milliseconds(10);
    input.analysis.objectives.push_back(objective);
    input.analysis.bake = bake;
    kernel.element.emplace(8);
  }
  void watch(std::function<void()> at_reading = {}) {
    steps.on_call([this, at_reading = std::move(at_reading)](size_t, const std::string& call) {
      if (call.find("read_element") != 0) return;
      value += step;
      if (kernel.element) std::memcpy(kernel.element->data(), &value, sizeof value);
      if (at_reading) at_reading();
    });
  }
};

TEST(RunObjectives, ABreachRollsBackByItself) {
  Judged world(kLong);
  world.step = 1000;
  world.begin();
  world.watch();
  world.run->execute();
  EXPECT_EQ(world.state(), State::kRolledBack);
  EXPECT_EQ(world.run->record().trigger, "objective");
  EXPECT_NE(world.reason().find("errors"), std::string::npos) << world.reason();
  ASSERT_EQ(world.journal->measurements.size(), 1u);
  EXPECT_EQ(world.journal->measurements.front().outcome, slo::Outcome::kFail);
  EXPECT_EQ(world.run->record().measurements.size(), 1u);
  world.expect_running(1);
  world.expect_nothing_lost();
}

TEST(RunObjectives, WhatHoldsIsCommitted) {
  Judged world(std::chrono::milliseconds(60));
  world.begin();
  world.watch();
  world.run->execute();
  EXPECT_EQ(world.state(), State::kCommitted);
  EXPECT_FALSE(world.journal->measurements.empty());
  world.expect_running(2);
}

// Nothing was proven when the bake was over: it goes on, and a person may end it.
TEST(RunObjectives, WhatIsUnprovenIsHeld) {
  Judged world(std::chrono::milliseconds(20));
  world.kernel.element.reset();  // it cannot be read
  world.begin();
  int readings = 0;
  world.watch([&] {
    EXPECT_EQ(world.state(), State::kBaking);
    if (++readings != 8) return;
    EXPECT_TRUE(world.run->order(Order::kCommit, "looked at by hand", "cli"));
  });
  world.run->execute();
  EXPECT_EQ(readings, 8);
  EXPECT_EQ(world.state(), State::kCommitted);
  EXPECT_EQ(world.reason(), "looked at by hand");
  world.expect_running(2);
}

TEST(RunObjectives, WhatIsHeldIsCommittedOnceItIsProven) {
  Judged world(std::chrono::milliseconds(20));
  world.kernel.element.reset();
  world.begin();
  int readings = 0;
  world.watch([&] {
    if (++readings == 6) world.kernel.element.emplace(8);
  });
  world.run->execute();
  EXPECT_GT(readings, 6);
  EXPECT_EQ(world.state(), State::kCommitted);
  world.expect_running(2);
}

// An agent that dies with a breach on its hands has not forgotten the generation: the next life judges anew.
TEST(RunObjectives, TheNextLifeJudgesAnew) {
  Judged world(kLong);
  world.step = 1000;
  world.begin();
  world.watch();
  world.steps.on_call([&](size_t n, const std::string& call) {
    if (call == "journal intent rollback") world.steps.fault_at(n, Fault::kDieBefore);
    world.value += 1000;
    std::memcpy(world.kernel.element->data(), &world.value, sizeof world.value);
  });
  world.run->execute();
  ASSERT_EQ(world.journal->intent, kIntentBake);
  world.steps.revive();
  world.begin();
  world.watch();
  world.run->resume();
  EXPECT_EQ(world.state(), State::kRolledBack);
  EXPECT_EQ(world.run->record().trigger, "objective");
  world.expect_running(1);
  world.expect_nothing_lost();
}

// Each write waits for the disk. What was measured is told all the same, and is there at the end.
TEST(RunObjectives, BetweenABreachAndTheOldGenerationOnlyTheIntentIsWritten) {
  Judged world(kLong);
  world.step = 1000;
  world.begin();
  world.watch();
  world.run->execute();
  const auto calls = world.steps.calls();
  const size_t baking = world.steps.find("journal save baking");
  const size_t intent = world.steps.find("journal intent rollback", baking);
  const size_t stored = world.steps.find("journal measurement", baking);
  ASSERT_LT(stored, calls.size());
  ASSERT_LT(intent, stored);
  std::vector<std::string> written;
  size_t swaps = 0;
  for (size_t n = baking + 1; n < stored; ++n) {
    if (calls[n].find("journal") == 0) written.push_back(calls[n]);
    if (calls[n].find("swap") == 0) ++swaps;
  }
  EXPECT_EQ(written, std::vector<std::string>{"journal intent rollback"});
  EXPECT_EQ(swaps, 2u) << "both hooks are back before the rest is written";
  EXPECT_GT(world.run->record().rollback_seconds, 0);
  EXPECT_EQ(world.journal->record.rollback_seconds, world.run->record().rollback_seconds);
  EXPECT_EQ(world.journal->record.reason, world.reason());
}

TEST(RunObjectives, WhatIsHeldSaysWhy) {
  Judged world(std::chrono::milliseconds(20));
  world.kernel.element.reset();
  world.begin();
  int readings = 0;
  std::string held;
  world.watch([&] {
    held = world.reason();
    if (++readings != 10) return;
    EXPECT_TRUE(world.run->order(Order::kRollback, "enough", "cli"));
  });
  world.run->execute();
  EXPECT_NE(held.find("held at the end of its bake"), std::string::npos) << held;
  EXPECT_NE(held.find("errors"), std::string::npos) << held;
  EXPECT_EQ(world.reason(), "enough");
}

// A neighbour that answers late, or never within the bake, is waited for by its own objective alone.
TEST(RunObjectives, ASlowNeighbourNeitherPromotesNorDelaysABreach) {
  Judged world(std::chrono::milliseconds(50));
  slo::Objective query;
  query.name = "query";
  query.indicator = slo::Indicator::kPromql;
  query.query = "up";
  query.max = 10.0;
  world.input.analysis.objectives.push_back(query);
  std::promise<void> release;
  auto released = release.get_future().share();
  world.input.sources.promql = [released](const std::string&) -> Result<std::optional<double>> {
    released.wait();
    return 1.0;
  };
  world.begin();
  int readings = 0;
  world.watch([&] {
    EXPECT_EQ(world.state(), State::kBaking) << "the bake is over, and the neighbour has not answered";
    if (++readings == 15) world.step = 1'000'000;
  });
  std::thread late([&] {
    while (world.state() != State::kRolledBack) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    release.set_value();
  });
  world.run->execute();
  late.join();
  EXPECT_EQ(world.state(), State::kRolledBack);
  EXPECT_EQ(world.run->record().trigger, "objective");
  EXPECT_GE(readings, 15);
}

TEST(RunObjectives, TheBaselineIsMeasuredBeforeTheSwapAndKept) {
  Judged world(std::chrono::milliseconds(60));
  slo::Objective& objective = world.input.analysis.objectives.front();
  objective.max.reset();
  objective.max_increase = 1000.0;
  world.input.analysis.baseline = std::chrono::milliseconds(40);
  world.step = 1;
  world.begin();
  world.watch();
  world.run->execute();
  EXPECT_EQ(world.state(), State::kCommitted) << world.reason();
  ASSERT_TRUE(world.journal->record.baselines.contains("errors"));
  EXPECT_GT(world.journal->record.baselines.at("errors"), 0);
}

}  // namespace
}  // namespace mapshift::update
