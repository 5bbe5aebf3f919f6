// SPDX-License-Identifier: Apache-2.0
#include "agent/leases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <thread>

#include "base/clock.h"
#include "fake_kernel.h"

namespace mapshift::agent {
namespace {

using testing::HasSubstr;

constexpr const char* kRoot = "/fs/mapshift/meter";
const std::string kOld = std::string(kRoot) + "/kept/flows/old";
const std::string kNew = std::string(kRoot) + "/gen/2/maps/flows";

// A module whose update was committed, and whose old map lies aside.
class LeasesTest : public ::testing::Test {
 protected:
  LeasesTest() {
    std::string pattern = ::testing::TempDir() + "mapshift-leases-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
    auto opened = store::Store::open(dir_ + "/state");
    EXPECT_TRUE(opened);
    store_ = std::move(*opened);
    kernel_.objects["/1"] = kernel_.objects["/2"] = {{"flows"}, {{"count", "flows"}}, {}};
    for (const char* n : {"1", "2"}) {
      LoadRequest request;
      request.object_path = std::string("/") + n;
      request.generation_dir = std::string(kRoot) + "/gen/" + n;
      EXPECT_TRUE(kernel_.load(request));
    }
    EXPECT_TRUE(kernel_.attach(Hook{"xdp"}, std::string(kRoot) + "/hooks/count", std::string(kRoot) + "/gen/1/progs/count"));
    EXPECT_TRUE(kernel_.publish(std::string(kRoot) + "/gen/1/maps/flows", kOld));
    auto sync = kernel_.open_sync(SyncSpec{}, kOld, kNew, std::string(kRoot) + "/kept/flows/sync");
    EXPECT_TRUE(sync && (*sync)->pass(SyncPhase::kLiveNew, true));
  }
  ~LeasesTest() override {
    leases_.reset();
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }
  void keep(std::chrono::seconds lease) {
    ASSERT_TRUE(store_->keep_map({"meter", "flows", 2, format_time(std::chrono::system_clock::now() + lease), {}}));
  }
  void begin() {
    leases_ = std::make_unique<Leases>(kernel_, *store_, "/fs", [this](const std::set<uint32_t>& ids) {
      MapHolders out;
      const std::lock_guard lock(mutex_);
      out.complete = complete_;
      if (held_) out.by_map[*ids.begin()] = {{4711, "reader"}};
      ++looks_;
      changed_.notify_all();
      return out;
    });
    leases_->start({"meter"});
  }
  void hold(bool held) {
    const std::lock_guard lock(mutex_);
    held_ = held;
  }
  void wait_for_looks(int more) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this, until = looks_ + more] { return looks_ >= until; });
  }
  void wait_until_dropped() {
    while (leases_->describe("meter", "flows")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  [[nodiscard]] bool gone() { return !kernel_.exists(std::string(kRoot) + "/kept/flows") && store_->kept_maps()->empty(); }

  Steps steps_;
  FakeKernel kernel_{steps_};
  std::string dir_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Leases> leases_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = true, complete_ = true;
  int looks_ = 0;
};

TEST_F(LeasesTest, AnOldMapStaysWhileItIsHeldAndGoesAfterwards) {
  keep(std::chrono::hours(1));
  begin();
  wait_for_looks(2);
  const auto shown = leases_->describe("meter", "flows");
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->holder_count, 1u);
  ASSERT_EQ(shown->holders.size(), 1u);
  EXPECT_EQ(shown->holders[0].pid, 4711);
  EXPECT_THAT(leases_->warnings("meter").at(0).message, HasSubstr("4711 (reader)"));
  EXPECT_TRUE(leases_->warnings("other").empty());
  metrics::Metrics metrics("test");
  leases_->collect(metrics);
  EXPECT_THAT(metrics.serialise(), HasSubstr("mapshift_kept_map_holders{map=\"flows\",module=\"meter\"} 1"));
  kernel_.traffic();  // somebody writes to the old map
  hold(false);
  wait_until_dropped();
  leases_->end("meter", "nothing is left");
  EXPECT_TRUE(gone()) << kernel_.state();
  EXPECT_EQ(kernel_.count(kNew), kernel_.events(std::string(kRoot) + "/hooks/count"));  // and what was written there is here
  leases_->collect(metrics);
  EXPECT_THAT(metrics.serialise(), testing::Not(HasSubstr("mapshift_kept_map_holders{")));
}

TEST_F(LeasesTest, ALeaseEndsWhoeverHoldsIt) {
  keep(std::chrono::seconds(0));
  begin();
  wait_until_dropped();
  leases_->end("meter", "nothing is left");
  EXPECT_TRUE(gone());
}

TEST_F(LeasesTest, WhoMayHoldItCounts) {
  complete_ = false;
  held_ = false;
  keep(std::chrono::hours(1));
  begin();
  wait_for_looks(4);
  EXPECT_TRUE(leases_->describe("meter", "flows"));
}

TEST_F(LeasesTest, AnotherAgentGoesOnAndAnUpdateEndsIt) {
  keep(std::chrono::hours(1));
  begin();
  wait_for_looks(1);
  leases_.reset();
  kernel_.traffic();
  begin();
  ASSERT_TRUE(leases_->describe("meter", "flows"));
  std::thread([this] { leases_->end("meter", "update u-000002 begins"); }).join();  // this thread's calls are events, too
  EXPECT_FALSE(leases_->describe("meter", "flows"));
  EXPECT_TRUE(gone());
  EXPECT_EQ(kernel_.count(kNew), kernel_.events(std::string(kRoot) + "/hooks/count"));
}

TEST_F(LeasesTest, ACommitOfAMomentAgoIsEndedToo) {
  begin();  // nothing was kept: what lies there is nobody's
  EXPECT_FALSE(kernel_.exists(std::string(kRoot) + "/kept/flows"));
  EXPECT_TRUE(kernel_.publish(std::string(kRoot) + "/gen/1/maps/flows", kOld));
  auto sync = kernel_.open_sync(SyncSpec{}, kOld, kNew, std::string(kRoot) + "/kept/flows/sync");
  keep(std::chrono::hours(1));
  leases_->end("meter", "update u-000002 begins");
  EXPECT_TRUE(gone());
}

TEST_F(LeasesTest, AfterARestartOfTheHostNothingIsLeft) {
  keep(std::chrono::hours(1));
  ASSERT_TRUE(kernel_.remove_tree(std::string(kRoot) + "/kept"));
  begin();
  EXPECT_FALSE(leases_->describe("meter", "flows"));
  EXPECT_TRUE(gone());
}

}  // namespace
}  // namespace mapshift::agent
