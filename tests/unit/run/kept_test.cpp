// SPDX-License-Identifier: Apache-2.0
// "keep_old": at the commit an old map moves aside with its base, whatever goes wrong and whenever the agent dies.
#include <algorithm>
#include <array>

#include "run_fixture.h"

namespace mapshift::update {
namespace {

const std::string kKept = std::string(kRoot) + "/kept/flows";

struct KeptWorld : World {
  KeptWorld() { input.new_manifest.maps["flows"].keep_old = 600; }
  [[nodiscard]] bool is_kept() const {
    return journal->kept.contains("flows") && kernel.exists(kKept + "/old") && kernel.exists(kKept + "/sync/base");
  }
  [[nodiscard]] bool is_said() const {
    const auto warnings = run->record().warnings;
    return std::any_of(warnings.begin(), warnings.end(), [](const Problem& problem) { return problem.code == "not-kept"; });
  }
};

TEST(RunKept, TheOldMapMovesAside) {
  KeptWorld world;
  world.begin().execute();
  ASSERT_EQ(world.state(), State::kCommitted) << world.explain();
  EXPECT_TRUE(world.is_kept()) << world.explain();
  EXPECT_FALSE(world.is_said());
  EXPECT_EQ(world.journal->kept.at("flows").generation, 2u);
  EXPECT_EQ(world.journal->kept.at("flows").module, "meter");
  EXPECT_FALSE(world.journal->kept.at("flows").until.empty());
  EXPECT_EQ(world.journal->kept.size(), 1u);
  EXPECT_TRUE(world.runs_new_alone());
  world.expect_nothing_lost();
  // Whoever goes on with it has the same ancestor: nothing is counted twice.
  auto sync = world.kernel.open_sync(SyncSpec{}, kKept + "/old", pin(2, "maps/flows"), kKept + "/sync");
  ASSERT_TRUE(sync);
  ASSERT_TRUE((*sync)->pass(SyncPhase::kLiveNew, true));
  EXPECT_EQ(world.kernel.count(kKept + "/old"), world.kernel.count(std::string(kRoot) + "/maps/flows"));
}

TEST(RunKept, NothingIsKeptOfWhatWasRolledBack) {
  KeptWorld world;
  world.begin();
  world.order_at("journal intent bake", Order::kRollback);
  world.run->execute();
  EXPECT_EQ(world.state(), State::kRolledBack);
  EXPECT_TRUE(world.journal->kept.empty());
  EXPECT_TRUE(world.runs_old_alone());
}

TEST(RunKept, WhatCannotBeKeptIsSaidAndTheCommitStands) {
  for (const char* part : {"publish /fs/mapshift/meter/kept/flows/sync/base", "publish /fs/mapshift/meter/kept/flows/old", "journal keep flows"}) {
    KeptWorld world;
    world.begin();
    world.steps.on_call([&world, part](size_t n, const std::string& call) {
      if (call == part) world.steps.fault_at(n, Fault::kError);
    });
    world.run->execute();
    EXPECT_EQ(world.state(), State::kCommitted) << part << world.explain();
    EXPECT_TRUE(world.is_said()) << part;
    EXPECT_FALSE(world.kernel.exists(kKept)) << part;
    EXPECT_TRUE(world.runs_new_alone());
  }
}

TEST(RunKept, TheAgentMayDieAtAnyCall) {
  KeptWorld dry;
  dry.begin().execute();
  const size_t length = dry.steps.calls().size(), from = dry.steps.find("journal intent commit");
  ASSERT_LT(from, length);
  for (const Fault death : std::array{Fault::kDieBefore, Fault::kDieMidway, Fault::kDieAfter}) {
    for (size_t n = from; n < length; ++n) {
      KeptWorld world;
      world.begin();
      world.steps.fault_at(n, death);
      world.run->execute();
      world.restart();
      ASSERT_TRUE(is_final(world.journal->record.state)) << n << world.explain();
      ASSERT_NE(world.journal->record.state, State::kStuck) << n << world.explain();
      world.expect_consistent();
      world.expect_nothing_lost();
      if (world.journal->record.state == State::kCommitted) {
        ASSERT_TRUE(world.is_kept()) << n << world.explain();
      }
    }
  }
}

}  // namespace
}  // namespace mapshift::update
