// SPDX-License-Identifier: Apache-2.0
// Orders that arrive at every call of an update, and whoever waits for it.
#include <algorithm>
#include <thread>

#include "run_fixture.h"

namespace mapshift::update {
namespace {

constexpr Nanos kLong = std::chrono::hours(1);

// Calls of an update from its begin until it bakes.
std::vector<std::string> calls_until_baking() {
  World world;
  world.input.analysis.bake = kLong;
  world.begin();
  world.order_at("journal save baking", Order::kStop);
  world.run->execute();
  return world.steps.calls();
}

class RunOrder : public ::testing::TestWithParam<Order> {};

TEST_P(RunOrder, AtEachCallUntilItBakes) {
  const auto calls = calls_until_baking();
  const auto swap = static_cast<size_t>(std::find(calls.begin(), calls.end(), "journal intent swap") - calls.begin());
  ASSERT_LT(swap, calls.size());
  for (size_t n = 0; n < calls.size(); ++n) {
    SCOPED_TRACE("ordered at " + std::to_string(n) + " " + calls[n]);
    World world;
    world.input.analysis.bake = kLong;
    world.begin();
    world.steps.on_call([&](size_t at, const std::string&) {
      if (at != n) return;
      EXPECT_TRUE(world.run->order(GetParam(), "because", "api"));
    });
    world.run->execute();
    EXPECT_TRUE(world.run->ended());
    if (n < swap) {
      EXPECT_EQ(world.state(), State::kAborted);
    } else if (GetParam() == Order::kStop) {
      EXPECT_EQ(world.state(), State::kBaking);
      EXPECT_EQ(world.kernel.runs(hook_dir("meter")), pin(2, "progs/meter"));
      world.input.analysis.bake = Nanos(0);
      world.restart();
      EXPECT_EQ(world.state(), State::kCommitted);
      world.expect_running(2);
      continue;
    } else {
      EXPECT_EQ(world.state(), State::kRolledBack);
    }
    EXPECT_EQ(world.reason(), "because");
    EXPECT_EQ(world.run->record().trigger, "api");
    world.expect_running(1);
    world.expect_nothing_lost();
    world.expect_growing();
  }
}

INSTANTIATE_TEST_SUITE_P(All, RunOrder, ::testing::Values(Order::kRollback, Order::kAbort, Order::kStop));

TEST(RunCommit, IsRefusedUntilItBakes) {
  World world;
  world.input.analysis.bake = kLong;
  world.begin();
  world.steps.on_call([&](size_t, const std::string& call) {
    const State now = world.state();
    const Status ordered = world.run->order(Order::kCommit, "now", "cli");
    if (now == State::kBaking) return;
    ASSERT_FALSE(ordered) << call;
    EXPECT_EQ(ordered.error().code, ErrorCode::kConflict);
    EXPECT_NE(ordered.error().message.find(to_string(now)), std::string::npos);
  });
  world.run->execute();
  EXPECT_EQ(world.state(), State::kCommitted);
  EXPECT_EQ(world.reason(), "now");
  world.expect_running(2);
}

// What others did to links and pins in the bake is said before the old generation goes.
TEST(RunCommit, SaysWhatDoesNotRunOrIsNotNamedAnyMore) {
  World world;
  world.input.analysis.bake = kLong;
  world.begin();
  bool done = false;
  world.steps.on_call([&](size_t, const std::string& call) {
    if (done || call != "journal save baking") return;
    done = true;
    ASSERT_TRUE(world.kernel.swap(Hook{"xdp"}, hook_dir("meter"), pin(2, "progs/meter"), pin(2, "progs/watch")));
    ASSERT_TRUE(world.kernel.unpublish(std::string(kRoot) + "/maps/windows"));
    ASSERT_TRUE(world.kernel.publish(std::string(kRoot) + "/gen/1/maps/flows", std::string(kRoot) + "/maps/flows"));
    EXPECT_TRUE(world.run->order(Order::kCommit, "because", "api"));
  });
  world.run->execute();
  EXPECT_EQ(world.state(), State::kCommitted) << world.explain();
  std::vector<std::string> said;
  for (const Problem& one : world.run->record().warnings) said.push_back(one.code + " " + one.where);
  EXPECT_EQ(said, (std::vector<std::string>{"hook-lost programs.meter", "pin-lost maps.flows", "pin-lost maps.windows"})) << world.explain();
  for (const char* map : {"flows", "windows"}) {
    const auto own = world.kernel.map_stats(pin(2, std::string("maps/") + map)), shown = world.kernel.map_stats(std::string(kRoot) + "/maps/" + map);
    ASSERT_TRUE(own && shown) << map;
    EXPECT_EQ(own->id, shown->id) << map;
  }
}

TEST(RunCommit, ARollbackSaysWhichMapsAreNotNamedAnyMore) {
  World world;
  world.input.analysis.bake = kLong;
  world.begin();
  bool done = false;
  world.steps.on_call([&](size_t, const std::string& call) {
    if (done || call != "journal save baking") return;
    done = true;
    ASSERT_TRUE(world.kernel.unpublish(std::string(kRoot) + "/gen/1/maps/windows"));
    EXPECT_TRUE(world.run->order(Order::kRollback, "because", "api"));
  });
  world.run->execute();
  EXPECT_EQ(world.state(), State::kRolledBack) << world.explain();
  ASSERT_EQ(world.run->record().warnings.size(), 1U);
  EXPECT_EQ(world.run->record().warnings[0].code, "pin-lost");
  EXPECT_EQ(world.run->record().warnings[0].where, "maps.windows");
}

TEST(RunOrders, TheFirstDecisionStands) {
  for (const char* at : {"journal save baking", "verify", "journal intent commit", "journal promote", "remove_tree"}) {
    World world;
    world.input.analysis.bake = kLong;
    world.begin();
    world.steps.on_call([&](size_t, const std::string& call) {
      if (call == "journal save baking") {
        EXPECT_TRUE(world.run->order(Order::kCommit, "good", "cli"));
      }
      if (call.find(at) == 0 && world.state() == State::kBaking) {
        EXPECT_FALSE(world.run->order(Order::kRollback, "bad", "alert"));
        EXPECT_FALSE(world.run->order(Order::kAbort, "bad", "alert"));
        EXPECT_TRUE(world.run->order(Order::kStop, "the agent was stopped", "operator"));
      }
    });
    world.run->execute();
    EXPECT_EQ(world.state(), State::kCommitted) << at;
    EXPECT_EQ(world.reason(), "good") << at;
    EXPECT_EQ(world.run->record().trigger, "cli") << at;
    world.expect_running(2);
  }
}

TEST(RunOrders, ARollbackThatIsUnderWayGoesToItsEnd) {
  World world;
  world.input.analysis.bake = kLong;
  world.begin();
  int tried = 0;
  world.steps.on_call([&](size_t, const std::string& call) {
    if (call == "journal save baking") {
      EXPECT_TRUE(world.run->order(Order::kRollback, "bad", "alert"));
    }
    if (world.state() != State::kRollingBack) return;
    ++tried;
    EXPECT_FALSE(world.run->order(Order::kRollback, "again", "cli"));
    EXPECT_FALSE(world.run->order(Order::kCommit, "no", "cli"));
    EXPECT_TRUE(world.run->order(Order::kStop, "the agent was stopped", "operator"));
  });
  world.run->execute();
  EXPECT_GT(tried, 10);
  EXPECT_EQ(world.state(), State::kRolledBack);
  EXPECT_EQ(world.reason(), "bad");
  EXPECT_EQ(world.run->record().trigger, "alert");
  world.expect_running(1);
}

TEST(RunOrders, NothingCanBeOrderedAfterTheEnd) {
  World world;
  world.begin().execute();
  for (const Order order : {Order::kRollback, Order::kCommit, Order::kAbort, Order::kStop}) {
    const Status ordered = world.run->order(order, "late", "cli");
    ASSERT_FALSE(ordered);
    EXPECT_EQ(ordered.error().code, ErrorCode::kConflict);
  }
}

// The update runs on this thread, and somebody else follows it to its end and ends it.
TEST(RunWait, WakesForEachChangeAndForTheEnd) {
  World world;
  world.input.analysis.bake = kLong;
  auto& run = world.begin();
  std::vector<uint64_t> revisions;
  bool ordered = false;
  std::thread follower([&] {
    UpdateRecord record = run.record();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!is_final(record.state) && std::chrono::steady_clock::now() < deadline) {
      record = run.wait(record.revision, std::chrono::seconds(10));
      revisions.push_back(record.revision);
      if (record.state == State::kBaking && !ordered) ordered = static_cast<bool>(run.order(Order::kCommit, "good", "cli"));
    }
  });
  run.execute();
  follower.join();
  EXPECT_TRUE(ordered);
  ASSERT_FALSE(revisions.empty());
  for (size_t n = 1; n < revisions.size(); ++n) EXPECT_GT(revisions[n], revisions[n - 1]);
  EXPECT_EQ(revisions.back(), run.record().revision);
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(run.wait(UINT64_MAX, std::chrono::seconds(30)).state, State::kCommitted);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
}

}  // namespace
}  // namespace mapshift::update
