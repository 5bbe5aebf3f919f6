// SPDX-License-Identifier: Apache-2.0
#include "update/go_readings.h"

#include <gtest/gtest.h>

#include "slo/indicator.h"
#include "slo/sample.h"

namespace mapshift::update {
namespace {

using observe::Histogram;
using observe::go::ProcessReport;

slo::Objective objective(const std::string& value, const std::string& process = "app", const std::string& reason = "") {
  slo::Objective out;
  out.name = value;
  out.indicator = slo::Indicator::kGo;
  out.value = value;
  out.process = process;
  out.reason = reason;
  out.max = 1;
  return out;
}

Histogram counts(std::vector<uint64_t> counts) { return {.bounds = {0.001, 0.01, 0.1}, .counts = std::move(counts)}; }

ProcessReport process(const std::string& name, int pid, Histogram sched = {}) {
  ProcessReport out;
  out.name = name;
  out.pid = pid;
  out.start_ticks = 1;
  out.sched_latency = std::move(sched);
  return out;
}

TEST(GoReadings, AreOfTheTimeSinceTheReadingBefore) {
  GoReadings readings;
  const slo::Objective sched = objective("sched_p99");
  const GoReading first = readings.read(sched, 1, {process("app", 1, counts({0, 0, 1000, 0}))});
  EXPECT_FALSE(first.value);
  EXPECT_TRUE(first.opens);
  const GoReading second = readings.read(sched, 1, {process("app", 1, counts({100, 0, 1000, 0}))});
  ASSERT_TRUE(second.value);
  EXPECT_DOUBLE_EQ(*second.value, 0.00099) << "what was before does not count";
  EXPECT_EQ(second.samples, 100);
  EXPECT_FALSE(second.opens);
  const GoReading third = readings.read(sched, 1, {process("app", 1, counts({100, 0, 1000, 0}))});
  EXPECT_FALSE(third.value || third.opens) << "nothing happened";
}

TEST(GoReadings, OfTheNextGenerationBeginAnew) {
  GoReadings readings;
  const slo::Objective sched = objective("sched_p99");
  const std::vector<ProcessReport> busy{process("app", 1, counts({5, 0, 0, 0}))};
  (void)readings.read(sched, 1, busy);
  EXPECT_TRUE(readings.read(sched, 2, busy).opens);
  slo::Objective other = sched;
  other.name = "another";
  EXPECT_TRUE(readings.read(other, 1, busy).opens);
}

TEST(GoReadings, TheWorstProcessThatMatchesCounts) {
  GoReadings readings;
  const slo::Objective sched = objective("sched_p99", "app*");
  const auto at = [](uint64_t quick, uint64_t slow, uint64_t foreign) {
    return std::vector{process("app", 1, counts({quick, 0, 0, 0})), process("app-1", 2, counts({0, slow, 0, 0})),
                       process("other", 3, counts({0, 0, 0, foreign}))};
  };
  (void)readings.read(sched, 1, at(0, 0, 0));
  const GoReading reading = readings.read(sched, 1, at(50, 20, 9));
  EXPECT_NEAR(reading.value.value_or(0), 0.00991, 1e-9);
  EXPECT_EQ(reading.samples, 20);
  slo::Objective careful = sched;
  careful.name = "careful";
  careful.min_samples = 40;
  (void)readings.read(careful, 1, at(0, 0, 0));
  EXPECT_EQ(readings.read(careful, 1, at(50, 20, 9)).samples, 50) << "one slow event of an idle process does not decide";
  EXPECT_EQ(readings.read(careful, 1, at(60, 25, 9)).samples, 5) << "none has enough";
}

TEST(GoReadings, AProcessThatBeganAnewOpensAgain) {
  GoReadings readings;
  const slo::Objective sched = objective("sched_p99");
  (void)readings.read(sched, 1, {process("app", 1, counts({9, 0, 0, 0}))});
  ProcessReport again = process("app", 1, counts({0, 0, 0, 50}));
  again.start_ticks = 2;
  EXPECT_TRUE(readings.read(sched, 1, {again}).opens);
  again.sched_latency = counts({0, 0, 0, 20});
  EXPECT_FALSE(readings.read(sched, 1, {again}).value) << "a count that fell is no figure";
  EXPECT_FALSE(readings.read(sched, 1, {}).opens) << "no process: no data";
}

TEST(GoReadings, AProcessThatIsNewDoesNotHideTheFiguresOfOthers) {
  GoReadings readings;
  const slo::Objective sched = objective("sched_p99", "*");
  (void)readings.read(sched, 1, {process("app", 1, counts({0, 0, 0, 0}))});
  const GoReading reading = readings.read(sched, 1, {process("app", 1, counts({0, 9, 0, 0})), process("new", 2, counts({0, 0, 0, 5}))});
  EXPECT_EQ(reading.samples, 9);
  EXPECT_FALSE(reading.opens) << "a reading that only opens is not judged";
}

TEST(GoReadings, OnlyWhatIsCaptured) {
  GoReadings readings;
  ProcessReport denied = process("app", 1);
  denied.state = observe::go::State::kDenied;
  EXPECT_FALSE(readings.read(objective("sched_p99"), 1, {denied}).opens);
  denied.goroutines = 7;
  EXPECT_FALSE(readings.read(objective("goroutines"), 1, {denied}).value);
  denied.state = observe::go::State::kCaptured;
  EXPECT_EQ(readings.read(objective("goroutines"), 1, {denied}).value, 7) << "at the first reading";
}

TEST(GoReadings, BothKindsOfPausesAndTheReasonAskedFor) {
  GoReadings readings;
  ProcessReport report = process("app", 1);
  (void)readings.read(objective("stw_p99"), 1, {report});
  (void)readings.read(objective("block_p99", "app", "select"), 1, {report});
  report.stw_pause = {{"gc", counts({1, 0, 0, 0})}, {"other", counts({0, 1, 0, 0})}};
  report.block = {{"select", counts({0, 0, 1, 0})}, {"chan receive", counts({5, 0, 0, 0})}};
  EXPECT_EQ(readings.read(objective("stw_p99"), 1, {report}).samples, 2);
  const GoReading block = readings.read(objective("block_p99", "app", "select"), 1, {report});
  EXPECT_EQ(block.samples, 1) << "a reason that is new since the reading before counts from 0";
  EXPECT_GT(block.value.value_or(0), 0.09);
}

TEST(GoReadings, MakeABaseline) {
  GoReadings readings;
  const slo::Objective sched = objective("sched_p99");
  std::vector<slo::Sample> samples;
  for (uint64_t n = 0; n < 4; ++n) {
    const GoReading reading = readings.read(sched, 1, {process("app", 1, counts({n * 100, 0, 0, 0}))});
    samples.push_back({.at = Nanos(n + 1), .value = reading.value, .samples = reading.samples, .opens = reading.opens});
  }
  EXPECT_DOUBLE_EQ(slo::baseline_of(sched, samples).value_or(0), 0.00099);
}

}  // namespace
}  // namespace mapshift::update
