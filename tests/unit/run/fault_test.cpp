// SPDX-License-Identifier: Apache-2.0
// Every call of an update fails once, for each of them in turn; and then a second one with it.
#include <algorithm>

#include "run_fixture.h"

namespace mapshift::update {
namespace {

constexpr size_t kMostCalls = 200;  // of one update: a loop that never ends is a failure, too
constexpr size_t kStride = 2;      // of the second failure; the first shifts it
constexpr size_t kFarStride = 12;  // likewise, of the longer ways: they share most of their calls

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct Scenario {
  const char* name;
  bool rolls_back;
  World::Moves moves;
};

void prepare(World& world, const Scenario& scenario) {
  world.begin();
  if (scenario.rolls_back) world.order_at("journal intent bake", Order::kRollback);
}

std::vector<std::string> calls_of(const Scenario& scenario) {
  World world(scenario.moves);
  prepare(world, scenario);
  world.run->execute();
  return world.steps.calls();
}

size_t index_of(const std::vector<std::string>& calls, const std::string& call) {
  return static_cast<size_t>(std::find(calls.begin(), calls.end(), call) - calls.begin());
}

class RunFault : public ::testing::TestWithParam<Scenario> {};

TEST_P(RunFault, NothingFails) {
  World world(GetParam().moves);
  prepare(world, GetParam());
  world.run->execute();
  EXPECT_EQ(world.state(), GetParam().rolls_back ? State::kRolledBack : State::kCommitted) << world.explain();
  EXPECT_LT(world.steps.calls().size(), kMostCalls);
  EXPECT_GT(world.steps.calls().size(), 30u);
  world.expect_running(GetParam().rolls_back ? 1 : 2);
  world.expect_nothing_lost();
  world.expect_growing();
  EXPECT_EQ(world.observer.finishes, 1);
  EXPECT_TRUE(world.run->ended());
}

// Before the end is decided each failure of the kernel leaves what was there, to the pin.
TEST_P(RunFault, EachCallFailsOnce) {
  const auto calls = calls_of(GetParam());
  const size_t baking = index_of(calls, "journal intent bake");
  const size_t decided = index_of(calls, GetParam().rolls_back ? "journal intent rollback" : "journal intent commit");
  for (const Fault fault : {Fault::kError, Fault::kErrorDone}) {
    for (size_t n = 0; n < calls.size(); ++n) {
      SCOPED_TRACE(std::to_string(n) + " " + calls[n] + (fault == Fault::kError ? " fails" : " succeeds and says that it failed"));
      World world(GetParam().moves);
      prepare(world, GetParam());
      world.steps.fault_at(n, fault);
      world.run->execute();
      const State ended = world.state();
      EXPECT_TRUE(world.run->ended());
      EXPECT_TRUE(is_final(ended)) << world.explain();
      world.expect_growing();
      EXPECT_EQ(world.kernel.unseen(hook_dir("meter")) + world.kernel.unseen(hook_dir("watch")), 0u) << world.explain();
      if (ended == State::kStuck) {
        EXPECT_GE(n, decided);
        EXPECT_TRUE(contains(world.reason(), "injected: " + calls[n])) << world.reason();
        continue;
      }
      const bool goes_on = contains(calls[n], "journal save") || contains(calls[n], "side_stats") || n >= baking;
      if (n < decided && !goes_on) {
        EXPECT_EQ(ended, State::kFailed) << world.explain();
      }
      if (ended == State::kFailed) {
        EXPECT_TRUE(contains(world.reason(), "injected: " + calls[n])) << world.reason();
      }
      world.restart();  // sweeps up what the end could not remove, or ends what could not be stored
      world.expect_consistent();
      world.expect_nothing_lost();
      if (::testing::Test::HasFailure()) FAIL() << world.explain();
    }
  }
}

// Where it fails again while it is undone, nothing is guessed: stuck, with both reasons, and what is needed is kept.
TEST_P(RunFault, AnyTwoCallsFail) {
  const auto calls = calls_of(GetParam());
  for (size_t n = 0; n < calls.size(); ++n) {
    const size_t stride = GetParam().moves == World::Moves::kInOrder ? kStride : kFarStride;
    for (size_t m = n + 1 + n % stride; m < kMostCalls; m += stride) {
      World world(GetParam().moves);
      prepare(world, GetParam());
      world.steps.fault_at(n, Fault::kError);
      world.steps.fault_at(m, Fault::kError);
      world.run->execute();
      const auto made = world.steps.calls();
      if (m >= made.size()) break;  // the update ended before
      SCOPED_TRACE(std::to_string(n) + " " + made[n] + " and " + std::to_string(m) + " " + made[m] + " fail");
      ASSERT_TRUE(is_final(world.state())) << world.explain();
      world.expect_growing();
      EXPECT_EQ(world.kernel.unseen(hook_dir("meter")) + world.kernel.unseen(hook_dir("watch")), 0u);
      if (world.state() == State::kStuck) {
        EXPECT_TRUE(contains(world.reason(), "injected: " + made[m]) || contains(world.reason(), "injected: " + made[n])) << world.reason();
        EXPECT_TRUE(world.kernel.exists(std::string(kRoot) + "/gen/1"));
      } else {
        world.restart();
        if (world.run->record().state != State::kStuck) {
          world.expect_consistent();
          world.expect_nothing_lost();
        }
      }
      if (::testing::Test::HasFailure()) FAIL() << world.explain();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, RunFault, ::testing::Values(Scenario{"Commit", false, World::Moves::kInOrder}, Scenario{"Rollback", true, World::Moves::kInOrder},
                                                         Scenario{"TogetherCommit", false, World::Moves::kTogether},
                                                         Scenario{"TogetherRollback", true, World::Moves::kTogether},
                                                         Scenario{"CanaryCommit", false, World::Moves::kCanary},
                                                         Scenario{"CanaryRollback", true, World::Moves::kCanary}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(RunStuck, KeepsBothGenerationsAndTheBaseWhenTheHooksCannotBeBroughtBack) {
  World world;
  world.begin();
  world.steps.on_call([&](size_t n, const std::string& call) {
    if (call.find("attach " + hook_dir("extra")) == 0) world.steps.fault_at(n, Fault::kError);        // the third of four hooks
    if (call.find("swap " + hook_dir("meter") + " to " + pin(1, "")) == 0) world.steps.fault_at(n, Fault::kError);  // its undo
  });
  world.run->execute();
  EXPECT_EQ(world.state(), State::kStuck) << world.explain();
  EXPECT_TRUE(contains(world.reason(), "injected: attach " + hook_dir("extra"))) << world.reason();
  EXPECT_TRUE(contains(world.reason(), "injected: swap " + hook_dir("meter"))) << world.reason();
  for (const char* kept : {"/gen/1", "/gen/2", "/sync/flows/base", "/sync/windows/base"}) {
    EXPECT_TRUE(world.kernel.exists(std::string(kRoot) + kept)) << kept;
  }
  EXPECT_EQ(world.kernel.runs(hook_dir("meter")), pin(2, "progs/meter"));
}

TEST(RunStuck, ACommitThatCannotBeStoredDropsNothing) {
  World world;
  world.begin();
  world.steps.on_call([&](size_t n, const std::string& call) {
    if (call == "journal promote") world.steps.fault_at(n, Fault::kError);
  });
  world.run->execute();
  EXPECT_EQ(world.state(), State::kStuck);
  EXPECT_TRUE(contains(world.reason(), "injected: journal promote")) << world.reason();
  for (const char* kept : {"/gen/1", "/gen/2", "/sync/flows/base"}) EXPECT_TRUE(world.kernel.exists(std::string(kRoot) + kept)) << kept;
  EXPECT_EQ(world.kernel.runs(hook_dir("meter")), pin(2, "progs/meter"));
}

TEST(RunStuck, ALaterUpdateDoesNotTouchWhatAHookStillRuns) {
  World world;
  world.begin();
  world.steps.on_call([&](size_t n, const std::string& call) {
    if (call == "journal promote") world.steps.fault_at(n, Fault::kError);
  });
  world.run->execute();
  const std::string stuck = world.kernel.state();
  world.steps.revive();
  world.journal = std::make_unique<FakeJournal>(world.steps, world.input.record);
  world.begin().execute();
  EXPECT_EQ(world.state(), State::kFailed);
  EXPECT_TRUE(contains(world.reason(), "an earlier update is stuck")) << world.reason();
  EXPECT_EQ(world.kernel.state(), stuck);
}

// A base that an earlier update could not remove would be taken for the next one's.
TEST(RunLeftovers, AreRemovedBeforeTheNextUpdate) {
  World world;
  world.begin();
  world.order_at("open_sync " + std::string(kRoot) + "/sync/windows", Order::kAbort);
  world.run->execute();
  ASSERT_EQ(world.state(), State::kAborted);
  world.expect_running(1);
  world.steps.revive();
  world.journal = std::make_unique<FakeJournal>(world.steps, world.input.record);
  world.begin();
  world.steps.on_call([&](size_t n, const std::string& call) {
    if (call == "journal intent swap" || call == "remove_tree " + std::string(kRoot) + "/sync") world.steps.fault_at(n, Fault::kError);
  });
  world.run->execute();
  ASSERT_EQ(world.state(), State::kStuck);
  ASSERT_TRUE(world.kernel.exists(std::string(kRoot) + "/sync/flows/base"));
  world.steps.revive();
  world.journal = std::make_unique<FakeJournal>(world.steps, world.input.record);
  world.begin().execute();
  EXPECT_EQ(world.state(), State::kCommitted) << world.explain();
  world.expect_running(2);
  world.expect_nothing_lost();
}

TEST(RunOptional, AProgramThatTheKernelRefusesLeavesItsHookAndComesBackWithARollback) {
  for (const bool rolls_back : {false, true}) {
    World world;
    world.kernel.objects["/objects/2"].broken = {"watch", "extra"};
    world.begin();
    if (rolls_back) world.order_at("journal intent bake", Order::kRollback);
    world.run->execute();
    EXPECT_EQ(world.state(), rolls_back ? State::kRolledBack : State::kCommitted) << world.explain();
    EXPECT_EQ(world.run->record().warnings.size(), 2u);
    if (rolls_back) world.expect_running(1);
    EXPECT_EQ(world.kernel.runs(hook_dir("watch")), rolls_back ? pin(1, "progs/watch") : "");
    EXPECT_EQ(world.kernel.runs(hook_dir("extra")), "");
  }
}

}  // namespace
}  // namespace mapshift::update
