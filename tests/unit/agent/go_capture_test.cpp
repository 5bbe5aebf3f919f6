// SPDX-License-Identifier: Apache-2.0
#include "agent/go_capture.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

namespace mapshift::agent {
namespace {

using observe::go::Capture;
using observe::go::ProcessReport;
using observe::go::Settings;
using testing::HasSubstr;
using testing::Not;

// What the captures of one test were asked for.
struct Seen {
  std::atomic<int> started = 0, ended = 0, configured = 0;
  double budget = 0;
  uint64_t latencies = 0;
};

class FakeCapture final : public Capture {
 public:
  explicit FakeCapture(Seen& seen) : seen_(seen) {}
  ~FakeCapture() override { ++seen_.ended; }
  std::vector<ProcessReport> reports(Nanos) override {
    ProcessReport report;
    report.pid = 42;
    report.name = "app";
    report.sched_latency = {.bounds = {0.001}, .counts = {seen_.latencies, 0}, .sum = 0};
    return {report};
  }
  Result<ProcessReport> census(int pid) override {
    if (pid != 42) return fail(ErrorCode::kNotFound, "no such process");
    return reports(Nanos(0)).front();
  }
  void configure(Settings settings) override {
    ++seen_.configured;
    seen_.budget = settings.overhead_budget;
  }
  uint64_t dropped_processes() override { return 3; }

 private:
  Seen& seen_;
};

GoCapture::Start starter(Seen& seen) {
  return [&seen](const Settings& settings) -> Result<std::unique_ptr<Capture>> {
    ++seen.started;
    seen.budget = settings.overhead_budget;
    return std::make_unique<FakeCapture>(seen);
  };
}

config::GoCapture wanted(bool enabled, double budget = 0.01) {
  config::GoCapture out;
  out.enabled = enabled;
  out.settings.overhead_budget = budget;
  return out;
}

TEST(GoCapture, StartsWhenItIsWantedAndTakesNewSettings) {
  Seen seen;
  GoCapture capture(starter(seen));
  EXPECT_THAT(capture.processes().reason, HasSubstr("not started"));
  capture.apply(wanted(true));
  EXPECT_TRUE(capture.processes().enabled);
  EXPECT_EQ(capture.processes().dropped, 3u);
  EXPECT_TRUE(capture.census(42));
  EXPECT_EQ(capture.census(1).error().code, ErrorCode::kNotFound);
  capture.apply(wanted(true, 0.05));
  EXPECT_EQ(seen.started, 1);
  EXPECT_EQ(seen.budget, 0.05);
  capture.apply(wanted(false));
  EXPECT_EQ(seen.ended, 1);
  EXPECT_FALSE(capture.processes().enabled);
  EXPECT_THAT(capture.processes().reason, HasSubstr("go.enabled"));
  EXPECT_EQ(capture.census(42).error().code, ErrorCode::kUnavailable);
  capture.apply(wanted(true));
  EXPECT_EQ(seen.started, 2);
  capture.stop();
  EXPECT_EQ(seen.ended, 2);
}

TEST(GoCapture, AFailureToStartIsSaidAndTriedAgain) {
  Seen seen;
  int tries = 0;
  GoCapture capture([&](const Settings& settings) -> Result<std::unique_ptr<Capture>> {
    if (++tries == 1) return fail(ErrorCode::kKernel, "no threads left");
    return starter(seen)(settings);
  });
  capture.apply(wanted(true));
  EXPECT_THAT(capture.processes().reason, HasSubstr("no threads left"));
  EXPECT_TRUE(capture.processes().processes.empty());
  capture.apply(wanted(true));
  EXPECT_TRUE(capture.processes().enabled);
}

TEST(GoCapture, MetricsFollow) {
  Seen seen;
  GoCapture capture(starter(seen));
  metrics::Metrics metrics("1");
  capture.apply(wanted(true));
  capture.collect(metrics);
  EXPECT_THAT(metrics.serialise(), HasSubstr("mapshift_go_processes{state=\"captured\"} 1"));
  EXPECT_THAT(metrics.serialise(), HasSubstr("mapshift_go_processes_dropped_total 3"));
  capture.apply(wanted(false));
  capture.collect(metrics);
  EXPECT_THAT(metrics.serialise(), HasSubstr("mapshift_go_processes{state=\"captured\"} 0"));
  EXPECT_THAT(metrics.serialise(), Not(HasSubstr("process=\"app\"")));
}

TEST(GoCapture, ObjectivesReadThroughIt) {
  Seen seen;
  GoCapture capture(starter(seen));
  slo::Objective objective;
  objective.name = "latency";
  objective.indicator = slo::Indicator::kGo;
  objective.process = "app";
  objective.value = "sched_p99";
  const auto source = capture.source(), other = capture.source();
  EXPECT_TRUE(source(objective, 1)->opens) << "an update that went on after a restart waits for the capture";
  capture.apply(wanted(true));
  EXPECT_TRUE(source(objective, 1)->opens);
  seen.latencies = 10;
  EXPECT_EQ(source(objective, 1)->samples, 10);
  EXPECT_TRUE(other(objective, 1)->opens) << "each update has its own windows";
  capture.apply(wanted(false));
  EXPECT_EQ(source(objective, 1).error().code, ErrorCode::kUnavailable);
}

TEST(GoCapture, MayBeReadWhileItIsReplaced) {
  Seen seen;
  GoCapture capture(starter(seen));
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done) (void)capture.processes();
  });
  for (int i = 0; i < 200; ++i) capture.apply(wanted(i % 2 == 0));
  done = true;
  reader.join();
  capture.stop();
  EXPECT_EQ(seen.started, seen.ended);
}

}  // namespace
}  // namespace mapshift::agent
