// SPDX-License-Identifier: Apache-2.0
#include "observe/go/tally.h"

#include <gtest/gtest.h>

namespace mapshift::observe::go {
namespace {

const std::vector<std::string> kReasons = {"", "sleep", "preempted"};

ms_go_histogram with(size_t bucket, uint64_t count) {
  ms_go_histogram histogram{};
  histogram.counts[bucket] = count;
  histogram.sum = count * 1000;
  return histogram;
}

TEST(Tally, CountsWhatGrewAndBringsItToAllOfTheTime) {
  Tally tally(kReasons);
  ms_go_process counters{};
  counters.created = 3;
  counters.netpoll[1] = 2;
  tally.add(counters, {{{MS_GO_BLOCK, 1}, with(4, 10)}, {{MS_GO_RUN_QUEUE, 0}, with(1, 5)}}, 20, false);
  counters.created = 4;
  tally.add(counters, {{{MS_GO_BLOCK, 1}, with(4, 12)}, {{MS_GO_RUN_QUEUE, 0}, with(1, 5)}}, 10, false);
  ProcessReport report;
  tally.fill(report);
  EXPECT_EQ(report.block.at("sleep").counts[4], 10U * 20 + 2 * 10);
  EXPECT_TRUE(report.block.at("sleep").sum_is_estimate);
  EXPECT_EQ(report.run_queue.counts[1], 100U);
  EXPECT_EQ(report.created, 70U);
  EXPECT_EQ(report.netpoll_events.at("w"), 40U);
  EXPECT_EQ(report.netpoll_events.at("r"), 0U);
}

TEST(Tally, WithTheProbesThereAllTheTimeEverythingIsExact) {
  Tally tally(kReasons);
  tally.add({}, {{{MS_GO_BLOCK, 1}, with(4, 10)}, {{MS_GO_BLOCK_LONGER, 1}, with(9, 3)}, {{MS_GO_IO_TIME, MS_GO_WRITE}, with(2, 1)}}, 1, true);
  ProcessReport report;
  tally.fill(report);
  EXPECT_EQ(report.block.at("sleep").total(), 10U);
  EXPECT_FALSE(report.block.at("sleep").sum_is_estimate);
  EXPECT_EQ(report.io.at("write").total(), 1U);
  EXPECT_EQ(report.io.at("read").total(), 0U);
}

TEST(Tally, WhatBeganBeforeTheWindowCountsAsWell) {
  Tally tally(kReasons);
  tally.add({}, {{{MS_GO_BLOCK_LONGER, 1}, with(9, 3)}}, 2, false);
  ProcessReport report;
  tally.fill(report);
  EXPECT_EQ(report.block.at("sleep").counts[10], 6U);
}

TEST(Tally, BeingPreemptedIsNoWaitAndUnknownReasonsHaveNumbers) {
  Tally tally(kReasons);
  tally.add({}, {{{MS_GO_BLOCK_LONGER, 2}, with(9, 3)}, {{MS_GO_BLOCK, 2}, with(1, 1)}, {{MS_GO_BLOCK, 9}, with(1, 1)}}, 1, false);
  ProcessReport report;
  tally.fill(report);
  EXPECT_EQ(report.block.size(), 1U);
  EXPECT_EQ(report.block.begin()->first, "reason 9");
}

TEST(Tally, CountersThatFellAddNothing) {
  Tally tally(kReasons);
  ms_go_process counters{};
  counters.exited = 10;
  tally.add(counters, {{{MS_GO_BLOCK, 1}, with(4, 10)}}, 1, false);
  tally.add({}, {{{MS_GO_BLOCK, 1}, with(4, 3)}}, 1, false);
  ProcessReport report;
  tally.fill(report);
  EXPECT_EQ(report.exited, 10U);
  EXPECT_EQ(report.block.at("sleep").total(), 10U);
}

}  // namespace
}  // namespace mapshift::observe::go
