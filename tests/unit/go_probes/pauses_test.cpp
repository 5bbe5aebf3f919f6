// SPDX-License-Identifier: Apache-2.0
#include "observe/go/pauses.h"

#include <gtest/gtest.h>

namespace mapshift::observe::go {
namespace {

const std::vector<std::string> kReasons = {"unknown", "GC mark termination", "GC sweep termination", "write heap dump"};

ms_go_event pause(uint8_t reason, uint64_t started, uint64_t stopped, uint64_t ended, uint8_t hints = 0) {
  return {1, MS_GO_PAUSE, reason, hints, 0, started, stopped, ended};
}
ms_go_event mark_termination(uint64_t at) { return {1, MS_GO_MARK_TERMINATION, 0, 0, 0, 0, 0, at}; }

TEST(PauseLog, KnowsPausesAndTheirReasons) {
  PauseLog log(kReasons);
  log.add(pause(2, 100, 110, 150));
  log.add(pause(3, 200, 0, 260));
  log.add(pause(77, 300, 310, 320));
  const auto pauses = log.pauses();
  ASSERT_EQ(pauses.size(), 3U);
  EXPECT_EQ(pauses[0].reason, "GC sweep termination");
  EXPECT_TRUE(pauses[0].gc);
  EXPECT_EQ(pauses[0].stopping, Nanos(10));
  EXPECT_EQ(pauses[0].total, Nanos(50));
  EXPECT_FALSE(pauses[1].gc);
  EXPECT_EQ(pauses[1].stopping, Nanos(0));
  EXPECT_EQ(pauses[2].reason, "reason 77");
}

TEST(PauseLog, PutsCyclesTogether) {
  PauseLog log(kReasons);
  log.add(pause(2, 1000, 1010, 1050));
  log.add(pause(3, 1100, 1110, 1150));       // not the collector's
  log.add(pause(1, 2000, 2010, 2030));       // mark termination that found more to mark
  log.add(mark_termination(3010));
  log.add(pause(1, 3000, 3005, 3100));
  const auto cycles = log.cycles();
  ASSERT_EQ(cycles.size(), 1U);
  EXPECT_EQ(cycles[0].began, Nanos(1000));
  EXPECT_EQ(cycles[0].sweep_termination, Nanos(50));
  EXPECT_EQ(cycles[0].mark, Nanos(1950));
  EXPECT_EQ(cycles[0].mark_termination, Nanos(100));
}

TEST(PauseLog, ACycleOfWhichOnlyTheEndWasSeenHasOnlyThat) {
  PauseLog log(kReasons);
  log.add(mark_termination(3010));
  log.add(pause(1, 3000, 3005, 3100));
  ASSERT_EQ(log.cycles().size(), 1U);
  EXPECT_EQ(log.cycles()[0].mark, Nanos(0));
  EXPECT_EQ(log.cycles()[0].mark_termination, Nanos(100));
}

TEST(PauseLog, ATerminationWhosePauseWasLostDoesNotEndTheNextCycle) {
  PauseLog log(kReasons);
  log.add(mark_termination(900));
  log.add(pause(2, 1000, 1010, 1050));
  log.add(pause(1, 2000, 2010, 2030));  // found more to mark
  EXPECT_TRUE(log.cycles().empty());
}

TEST(PauseLog, BeforeTheRuntimeKeptReasonsItTakesWhatTheCollectorDid) {
  PauseLog log({});
  log.add(pause(MS_GO_NO_REASON, 10, 0, 20, MS_GO_HINT_SWEEP_TERMINATION));
  log.add(pause(MS_GO_NO_REASON, 30, 0, 40));
  log.add(mark_termination(55));
  log.add(pause(MS_GO_NO_REASON, 50, 0, 60, MS_GO_HINT_MARK_TERMINATION));
  const auto pauses = log.pauses();
  EXPECT_TRUE(pauses[0].gc && !pauses[1].gc && pauses[2].gc);
  EXPECT_EQ(pauses[1].reason, "");
  EXPECT_EQ(log.cycles().size(), 1U);
}

TEST(PauseLog, WhatRegistersHoldMayBeAnything) {
  PauseLog log(kReasons);
  log.add(pause(2, ~0ULL, 5, 3));
  log.add(pause(1, 0, ~0ULL, 10));
  EXPECT_EQ(log.pauses()[0].total, Nanos(0));
  EXPECT_LE(log.pauses()[1].stopping, log.pauses()[1].total);
  // Differences of what is shown are no overflow either.
  log.add(pause(2, 0, 0, 1ULL << 63));
  log.add(mark_termination(1));
  log.add(pause(1, (1ULL << 63) - 1, 0, ~0ULL));
  for (const Pause& each : log.pauses()) EXPECT_GE(each.total, Nanos(0));
  ASSERT_FALSE(log.cycles().empty());
  EXPECT_GE(log.cycles().back().began, Nanos(0));
  for (uint64_t i = 0; i < 2 * PauseLog::kPauses; i++) log.add(pause(3, i, i, i + 1));
  EXPECT_EQ(log.pauses().size(), PauseLog::kPauses);
}

}  // namespace
}  // namespace mapshift::observe::go
