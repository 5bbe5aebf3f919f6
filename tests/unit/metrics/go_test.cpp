// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <cmath>
#include <sstream>

#include "go_report.h"
#include "metrics/go_series.h"
#include "metrics/metrics.h"

namespace mapshift::metrics {
namespace {

using observe::go::ProcessReport;
using observe::go::State;
using testing::HasSubstr;
using testing::Not;

double value(Metrics& metrics, const std::string& series) {
  std::istringstream lines(metrics.serialise());
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(series + " ")) return std::stod(line.substr(series.size() + 1));
  return std::nan("");
}

ProcessReport process(const std::string& name, int pid, State state = State::kCaptured) {
  ProcessReport report = full_go_report();
  report.name = name;
  report.pid = pid;
  report.state = state;
  return report;
}

TEST(GoMetrics, TheStatesAreThereBeforeAnyProcessIs) {
  Metrics metrics("1");
  for (const char* state : {"captured", "unsupported", "denied", "over_limit"})
    EXPECT_EQ(value(metrics, "mapshift_go_processes{state=\"" + std::string(state) + "\"}"), 0) << state;
  EXPECT_EQ(value(metrics, "mapshift_go_processes_dropped_total"), 0);
  metrics.set_go_processes({process("a", 1), process("b", 2, State::kDenied), process("c", 3, State::kUnsupported)}, 4);
  EXPECT_EQ(value(metrics, R"(mapshift_go_processes{state="captured"})"), 1);
  EXPECT_EQ(value(metrics, R"(mapshift_go_processes{state="denied"})"), 1);
  EXPECT_EQ(value(metrics, R"(mapshift_go_processes{state="over_limit"})"), 0);
  EXPECT_EQ(value(metrics, "mapshift_go_processes_dropped_total"), 4);
  const std::string text = metrics.serialise();
  EXPECT_THAT(text, HasSubstr("process=\"a\""));
  EXPECT_THAT(text, Not(HasSubstr("process=\"b\""))) << "what is not captured takes no series";
}

TEST(GoMetrics, HistogramsAreShownAsTheirSourceCountsThem) {
  Metrics metrics("1");
  ProcessReport report = full_go_report();
  metrics.set_go_processes({report}, 0);
  metrics.set_go_processes({report}, 0);
  const std::string sched = R"(mapshift_go_sched_latency_seconds)";
  EXPECT_EQ(value(metrics, sched + R"(_bucket{process="app",le="0.001"})"), 90);
  EXPECT_EQ(value(metrics, sched + R"(_bucket{process="app",le="0.01"})"), 99);
  EXPECT_EQ(value(metrics, sched + R"(_bucket{process="app",le="+Inf"})"), 100);
  EXPECT_EQ(value(metrics, sched + R"(_count{process="app"})"), 100);
  EXPECT_DOUBLE_EQ(value(metrics, sched + R"(_sum{process="app"})"), 0.5);
  report.sched_latency = milliseconds({91, 9, 3}, 0.75);
  metrics.set_go_processes({report}, 0);
  EXPECT_EQ(value(metrics, sched + R"(_count{process="app"})"), 103);
  EXPECT_DOUBLE_EQ(value(metrics, sched + R"(_sum{process="app"})"), 0.75);
  report.sched_latency = {.bounds = {0.5}, .counts = {1, 1}, .sum = 2};  // other buckets cannot continue
  metrics.set_go_processes({report}, 0);
  EXPECT_EQ(value(metrics, sched + R"(_bucket{process="app",le="0.5"})"), 1);
  EXPECT_EQ(value(metrics, sched + R"(_count{process="app"})"), 2);
  EXPECT_TRUE(std::isnan(value(metrics, sched + R"(_bucket{process="app",le="0.001"})")));
  report.sched_latency.counts = {0, 1};  // nor can a count fall
  metrics.set_go_processes({report}, 0);
  EXPECT_EQ(value(metrics, sched + R"(_count{process="app"})"), 1);
}

TEST(GoMetrics, WhatIsNoHistogramIsLeftOut) {
  Metrics metrics("1");
  ProcessReport report = full_go_report();
  report.sched_latency = {.bounds = {0.1, 0.1}, .counts = {1, 1, 1}};
  report.run_queue = {.bounds = {0.1}, .counts = {1}};
  report.stw_pause = {};
  report.probing.why_not = "stripped";
  metrics.set_go_processes({report}, 0);
  for (const char* name : {"sched_latency", "run_queue", "stw_pause"})
    EXPECT_THAT(metrics.serialise(), Not(HasSubstr(std::string("mapshift_go_") + name + "_seconds_count"))) << name;
  EXPECT_THAT(metrics.serialise(), Not(HasSubstr("created_total{"))) << "what is not probed is not 0, but unknown";
}

TEST(GoMetrics, AProcessThatGoesTakesItsSeriesWithIt) {
  Metrics metrics("1");
  metrics.set_go_processes({process("app", 42), process("other", 43)}, 0);
  metrics.set_go_processes({process("other", 43)}, 0);
  EXPECT_THAT(metrics.serialise(), Not(HasSubstr("process=\"app\"")));
  EXPECT_THAT(metrics.serialise(), HasSubstr("process=\"other\""));
  metrics.set_go_processes({}, 0);
  EXPECT_THAT(metrics.serialise(), Not(HasSubstr("process=\"")));
}

TEST(GoMetrics, AnotherProcessUnderTheSameNameBeginsAnew) {
  Metrics metrics("1");
  const std::string cycles = R"(mapshift_go_gc_cycles_total{process="app"})";
  metrics.set_go_processes({process("app", 42)}, 0);
  EXPECT_EQ(value(metrics, cycles), 5);
  ProcessReport next = process("app", 42);  // the pid was used again
  next.start_ticks = 2000;
  next.go_version = "go1.23.1";
  next.gc_cycles = 9;
  next.block = {};
  metrics.set_go_processes({next}, 0);
  EXPECT_EQ(value(metrics, cycles), 9);
  EXPECT_THAT(metrics.serialise(), Not(HasSubstr("mapshift_go_block_seconds_count")));
  EXPECT_THAT(metrics.serialise(), Not(HasSubstr("go1.22.12")));
}

TEST(GoMetrics, ReasonsAreBoundedAndStayWhereTheyAre) {
  Metrics metrics("1");
  ProcessReport report = full_go_report();
  report.block.clear();
  report.groups.clear();
  for (int i = 0; i < 100; ++i) report.block["reason " + std::to_string(i + 100)] = milliseconds({1, 0, 0}, 0.0005);
  report.block["\xff\n"] = milliseconds({1, 0, 0}, 0.0005);
  metrics.set_go_processes({report}, 0);
  const std::string other = R"(mapshift_go_block_seconds_count{process="app",reason="other"})";
  EXPECT_EQ(value(metrics, other), 101 - GoSeries::kMaxReasons);
  report.block[""] = report.block["a reason that sorts first"] = milliseconds({5, 0, 0}, 0.001);
  metrics.set_go_processes({report}, 0);
  EXPECT_EQ(value(metrics, other), 101 - GoSeries::kMaxReasons + 10);
  EXPECT_EQ(value(metrics, R"(mapshift_go_block_seconds_count{process="app",reason="reason 100"})"), 1);
  report.groups = {{"waiting", "sleep", 3}, {"waiting", "reason 100", 4}};
  metrics.set_go_processes({report}, 0);
  EXPECT_EQ(value(metrics, R"(mapshift_go_goroutines{process="app",reason="other",state="waiting"})"), 3);
  EXPECT_EQ(value(metrics, R"(mapshift_go_goroutines{process="app",reason="reason 100",state="waiting"})"), 4);
}

TEST(GoMetrics, AGroupThatIsGoneFallsToZero) {
  Metrics metrics("1");
  ProcessReport report = full_go_report();
  metrics.set_go_processes({report}, 0);
  const std::string waiting = R"(mapshift_go_goroutines{process="app",reason="select",state="waiting"})";
  EXPECT_EQ(value(metrics, waiting), 7);
  report.groups = {{"waiting", "", 1}};
  metrics.set_go_processes({report}, 0);
  EXPECT_EQ(value(metrics, waiting), 0);
  EXPECT_EQ(value(metrics, R"(mapshift_go_goroutines{process="app",reason="unknown",state="waiting"})"), 1);
}

TEST(GoMetrics, TheProcessesOfTheDefaultLimitFitWhateverTheyDo) {
  Series series;
  GoSeries shown;
  std::vector<ProcessReport> reports;
  for (int i = 0; i < 64; ++i) {
    ProcessReport report = process("app-" + std::to_string(i), 100 + i);
    report.groups = {{"runnable", "", 1}, {"running", "", 1}, {"syscall", "", 1}, {"preempted", "", 1}};
    for (int reason = 0; reason < 60; ++reason) {
      const std::string text = "reason " + std::to_string(reason);
      report.block[text] = milliseconds({1, 0, 0}, 0);
      report.groups.push_back({"waiting", text, 1});
    }
    reports.push_back(report);
  }
  shown.show(series, reports, 0);
  EXPECT_LT(series.size(), Series::kMaxSeries);
  EXPECT_THAT(series.serialise(), Not(HasSubstr("series_dropped_total 1")));
}

}  // namespace
}  // namespace mapshift::metrics
