// SPDX-License-Identifier: Apache-2.0
#include "lab.h"

namespace mapshift::test {
namespace {

using namespace observe::go;

constexpr int kCount = 200;
constexpr double kHold = 0.05;

// What the runtime calls it: its words became finer over the versions.
struct Answer {
  const char* mode;
  const char* reason;
  int since;             // 1.SINCE
  const char* before;    // what it was called until then
};
constexpr Answer kAnswers[] = {
    {"sleep", "sleep", 0, ""},
    {"receive", "chan receive", 0, ""},
    {"send", "chan send", 0, ""},
    {"select", "select", 0, ""},
    {"mutex", "sync.Mutex.Lock", 20, "semacquire"},
    {"rwmutex", "sync.RWMutex.RLock", 20, "semacquire"},
    {"waitgroup", "sync.WaitGroup.Wait", 25, "semacquire"},
    {"cond", "sync.Cond.Wait", 0, ""},
    {"network", "IO wait", 0, ""},
};

class Goroutines : public EachVersion {
 protected:
  void SetUp() override {
    EachVersion::SetUp();
    if (!IsSkipped()) open(1);
  }
};

TEST_P(Goroutines, BlockExactlyAsOftenAsTheyDo) {
  for (const Answer& answer : kAnswers) {
    SCOPED_TRACE(answer.mode);
    Program program = start(answer.mode, kCount, "50ms");
    add(program);
    auto truth = program.work();
    const ProcessReport seen = report(program.pid());
    const std::string reason = minor() >= answer.since ? answer.reason : answer.before;
    const uint64_t naps = reason == "sleep" ? truth["naps"] : 0;
    EXPECT_EQ(total(seen, reason), truth["blocked"] + naps);
    EXPECT_GT(median(seen, reason), 0.6 * kHold);
    EXPECT_LT(median(seen, reason), 20 * kHold);
    EXPECT_EQ(seen.created, truth["created"]);
    EXPECT_EQ(seen.exited, truth["created"]);
    EXPECT_EQ(seen.probing.lost, 0U);
    EXPECT_EQ(seen.probing.duty, 1);
    probes_->remove(program.pid());
  }
}

// The runtime shows a goroutine as waiting while it stops the world or scans its own stack: it runs on without a wake.
TEST_P(Goroutines, DoNotBlockWhileTheyStopTheWorld) {
  Program program = start("stop", 40, "10ms");
  add(program);
  program.work();
  const ProcessReport seen = report(program.pid());
  EXPECT_EQ(seen.pauses.size(), 50U);
  for (const char* reason : {"stopping the world", "garbage collection", "garbage collection scan", "GC worker (active)", "preempted"}) {
    EXPECT_EQ(total(seen, reason), 0U) << reason;
  }
}

TEST_P(Goroutines, WaitForAThreadAsOftenAsTheyYield) {
  Program program = start("yield", 5000, "0s");
  add(program);
  auto truth = program.work();
  const ProcessReport seen = report(program.pid());
  // Others of the runtime run now and then as well.
  EXPECT_GE(seen.run_queue.total(), truth["yields"]);
  EXPECT_LT(seen.run_queue.total(), truth["yields"] + 100);
  EXPECT_LT(observe::quantile(seen.run_queue, 0.5).value_or(1), 1e-3);
}

TEST_P(Goroutines, ReadAndWriteExactlyAsOftenAsTheyDo) {
  Program program = start("network", kCount, "50ms");
  add(program);
  auto truth = program.work();
  ASSERT_TRUE(eventually([&] { return report(program.pid()).io["write"].total() > truth["writes"]; }));
  ProcessReport seen = report(program.pid());
  EXPECT_EQ(seen.io["read"].total(), truth["reads"]);
  EXPECT_EQ(seen.io_errors["read"], truth["read_errors"]);
  EXPECT_EQ(seen.io["write"].total(), truth["writes"] + 1) << "and the line that says so";
  EXPECT_EQ(seen.io_errors["write"], 0U);
  EXPECT_GE(seen.netpoll_events["r"] + seen.netpoll_events["rw"], truth["blocked"]);
}

INSTANTIATE_TEST_SUITE_P(Go, Goroutines, ::testing::ValuesIn(go_versions()));
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Goroutines);

}  // namespace
}  // namespace mapshift::test
