// SPDX-License-Identifier: Apache-2.0
#include "alerts/judge.h"

#include <gtest/gtest.h>

namespace mapshift::alerts {
namespace {

using update::State;
using namespace std::chrono_literals;

constexpr const char* kCreated = "2026-01-01T00:00:00.000Z";
WallTime at(double seconds) { return *parse_time(kCreated) + std::chrono::duration_cast<WallTime::duration>(Seconds(seconds)); }

// A module "m" whose update u-2 swapped at 10 s and bakes, after u-1; an alert that began at 20 s about it.
class Judge : public testing::Test {
 protected:
  Judge() {
    situation.now = at(30);
    situation.hosts = {"localhost", "node7", "10.0.0.7", "::1"};
    situation.modules["m"].updates = {{"u-2", State::kBaking, at(10)}, {"u-1", State::kCommitted, at(-100)}};
    began(20);
    alert.key.fingerprint = "f";
    alert.key.status = "firing";
    alert.labels = {{"alertname", "Errors"}, {"mapshift_action", "rollback"}, {"module", "m"}, {"update_id", "u-2"}, {"instance", "node7:9847"}};
  }
  void began(double seconds) {
    alert.started = at(seconds);
    alert.key.starts_at = format_time(alert.started);
  }
  [[nodiscard]] std::string_view verdict(bool accepted_before = false) const { return name_of(judge(alert, situation, accepted_before).disposition); }
  UpdateFacts& current() { return situation.modules["m"].updates.front(); }

  Situation situation;
  Alert alert;
};

TEST_F(Judge, AcceptsWhatSatisfiesEveryRule) {
  const Delivery delivery = judge(alert, situation, false);
  EXPECT_EQ(delivery.disposition, Disposition::kAccepted);
  EXPECT_EQ(delivery.update_id, "u-2");
  EXPECT_EQ(delivery.message, "alert Errors fires since " + alert.key.starts_at);
}

TEST_F(Judge, AnAlertThatNamesNoUpdateAndNoHostIsAboutTheCurrentOne) {
  alert.labels.erase("update_id");
  alert.labels.erase("instance");
  const Delivery delivery = judge(alert, situation, false);
  EXPECT_EQ(delivery.disposition, Disposition::kAccepted);
  EXPECT_EQ(delivery.update_id, "u-2");
}

TEST_F(Judge, ResolvedNeverActs) {
  alert.key.status = "resolved";
  EXPECT_EQ(verdict(), "resolved");
  EXPECT_EQ(verdict(true), "resolved");
}

TEST_F(Judge, AnAlertMustOptIn) {
  alert.labels["mapshift_action"] = "none";
  EXPECT_EQ(verdict(), "no_action");
  alert.labels.erase("mapshift_action");
  EXPECT_EQ(verdict(), "no_action");
}

TEST_F(Judge, TheWatchdogIsOnlyAWatchdogWhileItFires) {
  alert.labels["alertname"] = std::string(kWatchdogName);
  EXPECT_EQ(verdict(), "watchdog");
  alert.key.status = "resolved";
  EXPECT_EQ(verdict(), "resolved");
}

TEST_F(Judge, TheModuleMustBeLoaded) {
  alert.labels["module"] = "other";
  EXPECT_EQ(verdict(), "unknown_module");
  alert.labels.erase("module");
  EXPECT_EQ(verdict(), "unknown_module");
}

TEST_F(Judge, TheHostMustBeThisOne) {
  for (const char* here : {"node7", "NODE7:1", "localhost:9847", "10.0.0.7:80", "[::1]:80", "::1"}) {
    alert.labels["instance"] = here;
    EXPECT_EQ(verdict(), "accepted") << here;
  }
  for (const char* elsewhere : {"node8:9847", "10.0.0.8", "[::2]:80", "[", "[]", ":", "node7.other:1"}) {
    alert.labels["instance"] = elsewhere;
    EXPECT_EQ(verdict(), "other_host") << elsewhere;
  }
  alert.labels["instance"] = "node7:1";
  alert.labels["host"] = "node8";
  EXPECT_EQ(verdict(), "other_host");
}

TEST_F(Judge, WhatBeganBeforeTheSwapIsStale) {
  began(7.9);
  EXPECT_EQ(verdict(), "stale");
  began(8.1);  // two seconds of skew
  EXPECT_EQ(verdict(), "accepted");
}

TEST_F(Judge, WhatIsAboutAnotherUpdateIsStale) {
  alert.labels["update_id"] = "u-1";
  EXPECT_EQ(verdict(), "stale");
  alert.labels["update_id"] = "u-999";
  EXPECT_EQ(verdict(), "stale");
}

TEST_F(Judge, BeyondThePointOfNoReturnIsIrreversible) {
  current().lossy = true;
  EXPECT_EQ(verdict(), "irreversible");
  current().lossy = false;
  current().state = State::kCommitted;
  EXPECT_EQ(verdict(), "irreversible");
  alert.labels.erase("update_id");
  EXPECT_EQ(verdict(), "irreversible");
  began(0);
  EXPECT_EQ(verdict(), "stale");
}

TEST_F(Judge, ANamedUpdateThatRunsIsJudgedAlthoughALaterOneFailed) {
  situation.modules["m"].updates = {{"u-3", State::kRolledBack, at(5)}, {"u-2", State::kCommitted, at(-10)}};
  EXPECT_EQ(verdict(), "irreversible");
  alert.labels.erase("update_id");
  EXPECT_EQ(verdict(), "not_baking");
}

TEST_F(Judge, OnlyABakingUpdateIsRolledBack) {
  for (const State state : {State::kPlanning, State::kLoading, State::kSyncing, State::kSwapping, State::kRollingBack, State::kRolledBack,
                            State::kFailed, State::kAborted, State::kStuck}) {
    current().state = state;
    EXPECT_EQ(verdict(), "not_baking") << to_string(state);
  }
  situation.modules["m"].updates.clear();
  alert.labels.erase("update_id");
  EXPECT_EQ(verdict(), "not_baking");
}

TEST_F(Judge, ADeliveryActsOnceAndAnUpdateIsRolledBackOnce) {
  EXPECT_EQ(verdict(true), "duplicate");
  note_order(situation, judge(alert, situation, false));
  alert.key.fingerprint = "another";
  EXPECT_EQ(verdict(), "duplicate");
  current().state = State::kRolledBack;
  EXPECT_EQ(verdict(), "duplicate");
}

TEST_F(Judge, TooManyRollbacksInAnHourHold) {
  situation.rollbacks_in_hour = 9;
  EXPECT_EQ(verdict(), "accepted");
  situation.rollbacks_in_hour = 10;
  EXPECT_EQ(verdict(), "held");
  situation.policy.max_rollbacks_per_hour = 0;
  situation.rollbacks_in_hour = 0;
  EXPECT_EQ(verdict(), "held");
}

TEST_F(Judge, SoonAfterARollbackAnAlertMustNameTheUpdate) {
  situation.modules["m"].last_automatic_rollback = at(25);
  EXPECT_EQ(verdict(), "accepted");
  alert.labels.erase("update_id");
  EXPECT_EQ(verdict(), "held");
  situation.now = at(35.1);
  EXPECT_EQ(verdict(), "accepted");
}

TEST_F(Judge, WhatCannotBeReadIsInvalid) {
  alert.fault = "no start";
  const Delivery delivery = judge(alert, situation, false);
  EXPECT_EQ(delivery.disposition, Disposition::kInvalid);
  EXPECT_EQ(delivery.message, "no start");
}

TEST(Facts, TheSwapBeganAfterThePhasesBefore) {
  update::UpdateRecord record;
  EXPECT_FALSE(swap_began(record));
  record.created_at = kCreated;
  record.phases = {{"planning", 0.5}, {"loading", 1}, {"syncing", 8.5}};
  EXPECT_FALSE(swap_began(record));
  record.phases.push_back({"swapping", 3});
  record.phases.push_back({"baking", 60});
  EXPECT_EQ(swap_began(record), at(10));
  record.maps.emplace_back().lossy = true;
  EXPECT_TRUE(facts_of(record).lossy);
}

TEST(Facts, NamesAreUniqueAndDecisionsOfPeopleAreNotAutomatic) {
  std::set<std::string_view> names;
  for (const Disposition disposition : kDispositions) EXPECT_TRUE(names.insert(name_of(disposition)).second);
  for (const char* trigger : {"objective", "alert", "stall"}) EXPECT_TRUE(is_automatic(trigger));
  for (const char* trigger : {"operator", "recovery", "cli", "api", ""}) EXPECT_FALSE(is_automatic(trigger));
}

}  // namespace
}  // namespace mapshift::alerts
