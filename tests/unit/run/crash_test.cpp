// SPDX-License-Identifier: Apache-2.0
// The agent dies at every call of an update, before, in the middle of and after what the call does; its next life takes up
// what is on disk. Afterwards one generation runs alone and not one event was lost.
#include <array>

#include "run_fixture.h"

namespace mapshift::update {
namespace {

constexpr std::array kDeaths{Fault::kDieBefore, Fault::kDieMidway, Fault::kDieAfter};
constexpr size_t kStride = 4;  // of the second death; the first shifts it
constexpr size_t kFarStride = 16;  // likewise, of the longer ways: they share most of their calls

struct Life {
  const char* name;
  const char* rolled_back_at;  // an order comes at this call, or ""
  const char* fails_at;        // this call fails, or ""
  World::Moves moves = World::Moves::kInOrder;
};

std::string prepare(World& world, const Life& life) {
  world.begin();
  if (*life.rolled_back_at != '\0') world.order_at(life.rolled_back_at, Order::kRollback);
  if (*life.fails_at != '\0') {
    world.steps.on_call([&world, part = std::string(life.fails_at)](size_t n, const std::string& call) {
      if (call.find(part) == 0) world.steps.fault_at(n, Fault::kError);
    });
  }
  return life.name;
}

size_t length_of(const Life& life) {
  World world(life.moves);
  prepare(world, life);
  world.run->execute();
  return world.steps.calls().size();
}

// Its death is no failure of ours to report: what the dying process still says to itself reaches nobody.
void die(World& world, size_t n, Fault death, bool resumes) {
  world.steps.fault_at(n, death);
  if (resumes) world.run->resume();
  else world.run->execute();
}

std::string where(const World& world, size_t n, Fault death) {
  const char* how = death == Fault::kDieBefore ? " before " : death == Fault::kDieMidway ? " in the middle of " : " after ";
  const auto calls = world.steps.calls();
  return "death" + std::string(how) + std::to_string(n) + " " + (n < calls.size() ? calls[n] : "the end");
}

void expect_whole(World& world, const std::string& history) {
  EXPECT_NE(world.journal->record.state, State::kStuck) << history << world.explain();
  EXPECT_TRUE(is_final(world.journal->record.state)) << history;
  for (const Problem& warning : world.journal->record.warnings) EXPECT_NE(warning.code, "not-continued") << history << warning.message;
  world.expect_consistent();
  world.expect_nothing_lost();
  if (::testing::Test::HasFailure()) FAIL() << history << "\n" << world.explain();
}

class RunCrash : public ::testing::TestWithParam<Life> {};

TEST_P(RunCrash, AtEachCall) {
  const size_t length = length_of(GetParam());
  for (const Fault death : kDeaths) {
    for (size_t n = 0; n < length; ++n) {
      World world(GetParam().moves);
      prepare(world, GetParam());
      die(world, n, death, false);
      const std::string history = where(world, n, death) + "; on disk: " + std::string(to_string(world.journal->record.state)) + ", intent \"" +
                                  world.journal->intent + "\"\n";
      world.restart();
      ASSERT_NO_FATAL_FAILURE(expect_whole(world, history));
    }
  }
}

// The next life dies as well, at each of its calls.
TEST_P(RunCrash, AtEachCallAndAgainWhileRecovering) {
  const size_t length = length_of(GetParam());
  for (size_t n = 0; n < length; ++n) {
    const Fault first = kDeaths[n % kDeaths.size()];
    const size_t stride = GetParam().moves == World::Moves::kInOrder ? kStride : kFarStride;
    for (size_t m = n % stride;; m += stride) {
      World world(GetParam().moves);
      prepare(world, GetParam());
      die(world, n, first, false);
      std::string history = where(world, n, first) + "\n";
      if (is_final(world.journal->record.state)) break;
      world.steps.revive();
      world.begin();
      const Fault second = kDeaths[m / stride % kDeaths.size()];
      die(world, m, second, true);
      if (m >= world.steps.calls().size()) break;  // recovered before
      history += where(world, m, second) + "\n";
      world.restart();
      ASSERT_NO_FATAL_FAILURE(expect_whole(world, history));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, RunCrash,
                         ::testing::Values(Life{"Commit", "", ""}, Life{"Rollback", "journal intent bake", ""},
                                           Life{"AbortedBeforeTheSwap", "open_sync", ""},
                                           Life{"FailedSwap", "", "attach /fs/mapshift/meter/hooks/extra"},
                                           Life{"FailedPublish", "", "unpublish /fs/mapshift/meter/maps/former"},
                                           Life{"IntentsAfterTheSwapFail", "", "journal intent bake"}, Life{"TogetherCommit", "", "", World::Moves::kTogether},
                                           Life{"TogetherRollback", "journal intent bake", "", World::Moves::kTogether},
                                           Life{"TogetherFailedStage", "", "stage /fs/mapshift/meter/hooks/extra", World::Moves::kTogether},
                                           Life{"TogetherFailedStore", "", "set_course", World::Moves::kTogether},
                                           Life{"CanaryCommit", "", "", World::Moves::kCanary},
                                           Life{"CanaryRollback", "set_course /fs/mapshift/meter/together even share 2147483648", "", World::Moves::kCanary}),
                         [](const auto& test) { return std::string(test.param.name); });

// What the agent had decided is not forgotten with it.
TEST(RunCrashed, ADecisionToRollBackOutlivesTheAgentAndKeepsItsReason) {
  World world;
  world.begin();
  world.order_at("journal intent bake", Order::kRollback);
  World dry;
  dry.begin();
  dry.order_at("journal intent bake", Order::kRollback);
  dry.run->execute();
  const size_t decided = dry.steps.find("journal save rolling_back");
  die(world, decided, Fault::kDieAfter, false);
  world.journal->intent = kIntentBake;  // as if it could not have been stored
  world.restart();
  EXPECT_EQ(world.state(), State::kRolledBack);
  EXPECT_EQ(world.reason(), "ordered in a test; finished at the agent's restart");
  EXPECT_EQ(world.run->record().trigger, "recovery");
}

TEST(RunCrashed, ABakeGoesOnAtTheNextStart) {
  World world;
  world.begin();
  world.order_at("journal save baking", Order::kStop);
  world.run->execute();
  EXPECT_EQ(world.state(), State::kBaking);
  EXPECT_TRUE(world.run->ended());
  EXPECT_EQ(world.observer.finishes, 0);
  EXPECT_EQ(world.kernel.runs(hook_dir("meter")), pin(2, "progs/meter"));
  world.restart();
  EXPECT_EQ(world.state(), State::kCommitted) << world.explain();
  world.expect_running(2);
  world.expect_nothing_lost();
}

}  // namespace
}  // namespace mapshift::update
