// SPDX-License-Identifier: Apache-2.0
// What a restarted agent makes of what it finds: each intent with each state, and a base that is gone.
#include <algorithm>
#include <array>
#include <set>

#include "run_fixture.h"

namespace mapshift::update {
namespace {

constexpr std::array kRunning{State::kPlanning, State::kLoading, State::kSyncing, State::kSwapping, State::kBaking, State::kRollingBack};


void live_until(World& world, const char* order_at, size_t n) {
  world.begin();
  if (*order_at != '\0') world.order_at(order_at, Order::kRollback);
  world.steps.fault_at(n, Fault::kDieAfter);
  world.run->execute();
}

size_t length_of(const char* order_at) {
  World world;
  world.begin();
  if (*order_at != '\0') world.order_at(order_at, Order::kRollback);
  world.run->execute();
  return world.steps.calls().size();
}

State expected(State state, const std::string& intent) {
  if (intent.empty() || intent == kIntentLoad) return State::kAborted;
  if (intent == kIntentCommit) return State::kCommitted;
  return intent == kIntentBake && state != State::kRollingBack ? State::kCommitted : State::kRolledBack;
}

class RunResume : public ::testing::TestWithParam<const char*> {};

// The state on disk may be an older or a newer one than the intent, where one of both could not be stored.
TEST_P(RunResume, FromEachIntentWithEachState) {
  const size_t length = length_of(GetParam());
  std::set<std::string> intents;
  for (size_t n = 0; n < length; ++n) {
    for (const State state : kRunning) {
      World world;
      live_until(world, GetParam(), n);
      if (is_final(world.journal->record.state)) continue;
      world.journal->record.state = state;
      const std::string intent = world.journal->intent;
      intents.insert(intent);
      SCOPED_TRACE("died at " + std::to_string(n) + ", intent \"" + intent + "\", state " + std::string(to_string(state)));
      world.restart();
      EXPECT_EQ(world.state(), expected(state, intent)) << world.explain();
      if (intent != kIntentBake) {
        EXPECT_EQ(world.run->record().trigger, "recovery");
      }
      EXPECT_TRUE(world.run->ended());
      EXPECT_EQ(world.observer.finishes, 1);
      world.expect_consistent();
      world.expect_nothing_lost();
      world.expect_growing();
      if (::testing::Test::HasFailure()) FAIL() << world.explain();
    }
  }
  EXPECT_GE(intents.size(), 5u);
}

// Rule 12: without its base an update cannot be continued exactly. It is undone, and that says what was left behind.
TEST_P(RunResume, UndoesWhatCannotBeContinuedExactly) {
  const size_t length = length_of(GetParam());
  int undone = 0;
  for (const char* gone : {"/sync/flows/base", "/gen/2/maps/windows"}) {
    for (size_t n = 0; n < length; ++n) {
      World world;
      live_until(world, GetParam(), n);
      const std::string intent = world.journal->intent;
      if (is_final(world.journal->record.state) || !world.kernel.exists(std::string(kRoot) + gone)) continue;
      if (intent != kIntentSwap && intent != kIntentBake && intent != kIntentRollback) continue;
      SCOPED_TRACE("died at " + std::to_string(n) + ", intent \"" + intent + "\", without " + gone);
      world.kernel.erase(std::string(kRoot) + gone);
      world.restart();
      ++undone;
      EXPECT_EQ(world.state(), State::kRolledBack) << world.explain();
      EXPECT_NE(world.reason().find("could not be continued exactly"), std::string::npos) << world.reason();
      ASSERT_FALSE(world.run->record().warnings.empty());
      EXPECT_EQ(world.run->record().warnings.back().code, "not-continued");
      EXPECT_EQ(world.kernel.unseen(hook_dir("meter")) + world.kernel.unseen(hook_dir("watch")), 0u);
      world.expect_running(1);
      if (::testing::Test::HasFailure()) FAIL() << world.explain();
    }
  }
  EXPECT_GT(undone, 20);
}

INSTANTIATE_TEST_SUITE_P(All, RunResume, ::testing::Values("", "journal intent bake"));

size_t call_after(const std::string& call) {
  World world;
  world.begin().execute();
  return world.steps.find(call);
}

// A look that fails proves nothing: nothing is undone, nothing is dropped.
TEST(RunResumed, IsStuckWhenTheBaseCannotBeLookedFor) {
  World world;
  live_until(world, "", call_after("journal save baking"));
  const std::string left = world.kernel.state();
  world.steps.revive();
  world.begin();
  world.steps.on_call([&](size_t n, const std::string& call) {
    if (call == "list " + std::string(kRoot) + "/sync/flows") world.steps.fault_at(n, Fault::kError);
  });
  world.run->resume();
  EXPECT_EQ(world.state(), State::kStuck);
  EXPECT_EQ(world.kernel.state(), left);
}

TEST(RunResumed, IsStuckWhenSomebodyElseChangedAHook) {
  World world;
  live_until(world, "", call_after("swap " + hook_dir("meter")));
  world.steps.revive();
  ASSERT_TRUE(world.kernel.swap(Hook{"xdp"}, hook_dir("meter"), pin(2, "progs/meter"), pin(1, "progs/helper")));
  world.steps.revive();
  world.begin().resume();
  EXPECT_EQ(world.state(), State::kStuck);
  EXPECT_NE(world.reason().find("runs neither"), std::string::npos) << world.reason();
  EXPECT_EQ(world.kernel.runs(hook_dir("meter")), pin(1, "progs/helper"));
  EXPECT_TRUE(world.kernel.exists(std::string(kRoot) + "/sync/flows/base"));
}

// A refusal at the restart, whatever the reason, must not end the synchronisation in silence.
TEST(RunResumed, UndoesWhatCouldNotBePlannedAgain) {
  World world;
  live_until(world, "", call_after("journal intent bake"));
  MapPlan& flows = *std::ranges::find(world.input.plan.maps, "flows", &MapPlan::name);
  flows.sync.reset();
  flows.record.reason = "no room";
  world.restart();
  EXPECT_EQ(world.state(), State::kRolledBack) << world.explain();
  EXPECT_NE(world.reason().find("map flows cannot be synchronised any more: no room"), std::string::npos) << world.reason();
  world.expect_running(1);
}

std::set<SyncPhase> phases_of_recovery(const char* died) {
  World world;
  live_until(world, "", call_after(died));
  std::set<SyncPhase> phases;
  world.kernel.on_pass = [&](PassReport&, SyncPhase phase, const std::string&) { phases.insert(phase); };
  world.restart();
  EXPECT_EQ(world.state(), State::kRolledBack) << world.explain();
  return phases;
}

// Where two values differ, the side that runs is right.
TEST(RunResumed, TakesTheOldSideForActiveWhereItRunsAlone) {
  EXPECT_EQ(phases_of_recovery("journal intent swap"), std::set{SyncPhase::kLiveOld});
  EXPECT_EQ(phases_of_recovery(("swap " + hook_dir("meter")).c_str()), (std::set{SyncPhase::kLiveNew, SyncPhase::kLiveOld}));
}

TEST(RunResumed, IsAbortedWhenTheHostWasRestarted) {
  for (const char* died : {"load ", "swap ", "journal intent bake", "journal intent rollback"}) {
    World world;
    world.begin();
    world.order_at("journal intent bake", Order::kRollback);
    world.run->execute();
    const size_t n = world.steps.find(died);
    World other;
    live_until(other, "journal intent bake", n);
    other.steps.revive();
    ASSERT_TRUE(other.kernel.remove_tree("/fs"));
    other.steps.revive();
    other.begin().resume();
    EXPECT_EQ(other.state(), State::kAborted) << died;
    EXPECT_NE(other.reason().find("the host was restarted"), std::string::npos) << other.reason();
    EXPECT_EQ(other.kernel.state().find("gen/"), std::string::npos);
  }
}

// Each call of a recovery fails once: it ends, nothing that runs goes missing, and what it could not do is said.
TEST(RunResumed, EachCallOfARecoveryFailsOnce) {
  for (const char* died : {"load ", "swap " , "journal intent bake", "journal intent commit"}) {
    for (size_t n = 0;; ++n) {
      World world;
      live_until(world, "", call_after(died));
      world.steps.revive();
      world.begin();
      world.steps.fault_at(n, Fault::kError);
      world.run->resume();
      const auto calls = world.steps.calls();
      if (n >= calls.size()) break;
      SCOPED_TRACE(std::string("died after ") + died + "; then " + std::to_string(n) + " " + calls[n] + " fails");
      EXPECT_TRUE(is_final(world.state()));
      EXPECT_EQ(world.kernel.unseen(hook_dir("meter")) + world.kernel.unseen(hook_dir("watch")), 0u);
      if (world.state() == State::kStuck) {
        EXPECT_NE(world.reason().find("injected: " + calls[n]), std::string::npos) << world.reason();
      } else {
        world.restart();
        world.expect_consistent();
        world.expect_nothing_lost();
      }
      if (::testing::Test::HasFailure()) FAIL() << world.explain();
    }
  }
}

}  // namespace
}  // namespace mapshift::update
