// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "go_target.h"
#include "kernel_test.h"

namespace mapshift::observe::go::test {
namespace {

class GoCensus : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { MS_SKIP_FOR(mapshift::test::missing_privilege()); }
};

uint64_t started_by(const ProcessReport& report, const std::string& function) {
  for (const auto& row : report.start_functions)
    if (row.function == function) return row.count;
  return 0;
}

TEST_P(GoCensus, CountsEveryReason) {
  GoTarget target(GetParam());
  target.ask("park sleep 11");
  target.ask("park receive 23");
  target.ask("park send 5");
  target.ask("park select 7");
  target.ask("park mutex 13");
  target.ask("park rwmutex 3");
  target.ask("park waitgroup 4");
  target.ask("park cond 6");
  target.ask("park empty 2");
  target.ask("park nil 1");
  const auto capture = capture_of(GetParam());
  ASSERT_EQ(report_on(*capture, target.pid()).state, State::kCaptured) << report_on(*capture, target.pid()).reason;
  // All of them run once before they wait.
  ASSERT_TRUE(mapshift::test::eventually([&] {
    const auto report = capture->census(target.pid());
    return report && count_of(*report, "runnable", "") == 0 && started_by(*report, "main.conditioner") == 6;
  }));
  const auto census = capture->census(target.pid());
  ASSERT_TRUE(census);
  EXPECT_EQ(count_of(*census, "waiting", "sleep"), 11U);
  EXPECT_EQ(count_of(*census, "waiting", "chan receive (nil chan)"), 1U);
  EXPECT_EQ(count_of(*census, "waiting", "chan receive"), 24U);
  EXPECT_EQ(count_of(*census, "waiting", "chan send"), 5U);
  EXPECT_EQ(count_of(*census, "waiting", "select (no cases)"), 2U);
  EXPECT_EQ(count_of(*census, "waiting", "select"), 9U);
  EXPECT_EQ(count_of(*census, "waiting", "sync.Cond.Wait"), 6U);
  // Locks had one reason in common up to 1.19; wait groups have one of their own since 1.25.
  EXPECT_EQ(count_of(*census, "waiting", "semacquire") + count_of(*census, "waiting", "sync.Mutex.Lock") +
                count_of(*census, "waiting", "sync.RWMutex.RLock") + count_of(*census, "waiting", "sync.WaitGroup.Wait"),
            13U + 3U + 4U);
  EXPECT_EQ(started_by(*census, "main.receiver"), 23U);
  EXPECT_EQ(started_by(*census, "main.locker"), 13U);
  EXPECT_EQ(started_by(*census, "runtime.main"), 1U);
  EXPECT_EQ(started_by(*census, "runtime.bgsweep"), 0U);
  uint64_t sum = 0;
  for (const auto& group : census->groups) sum += group.count;
  EXPECT_EQ(sum, *census->goroutines);
  EXPECT_EQ(sum, target.figures().values.at("goroutines"));
}

TEST_P(GoCensus, GoroutinesThatEndedAreNotCounted) {
  GoTarget target(GetParam());
  target.ask("churn 500");
  const auto capture = capture_of(GetParam());
  (void)report_on(*capture, target.pid());
  ASSERT_TRUE(mapshift::test::eventually([&] {
    const auto census = capture->census(target.pid());
    return census && count_of(*census, "waiting", "chan receive") == 500;
  }));
  EXPECT_EQ(capture->census(target.pid())->goroutines, target.figures().values.at("goroutines"));
}

std::string name_of(const ::testing::TestParamInfo<std::string>& info) {
  std::string out = info.param.substr(info.param.rfind('/') + 1);
  std::ranges::replace_if(out, [](char c) { return !isalnum(static_cast<unsigned char>(c)); }, '_');
  return out;
}

INSTANTIATE_TEST_SUITE_P(Programs, GoCensus, ::testing::ValuesIn(programs()), name_of);

class GoCensusOfMany : public mapshift::test::KernelTest {};

TEST_F(GoCensusOfMany, AHundredThousand) {
  GoTarget target(newest());
  const auto capture = capture_of(newest());
  (void)report_on(*capture, target.pid());
  target.ask("park receive 100000");
  ASSERT_TRUE(mapshift::test::eventually([&] {
    const auto census = capture->census(target.pid());
    return census && count_of(*census, "waiting", "chan receive") == 100'000;
  }, std::chrono::seconds(20)));
  const auto census = capture->census(target.pid());
  std::printf("100000 goroutines in %.1f ms\n", static_cast<double>(census->census_took.count()) / 1e6);
  EXPECT_LT(census->census_took, std::chrono::seconds(2));
  // Reports do not walk a list of that size each time.
  const Nanos at = capture->reports(Nanos{0}).front().census_at;
  EXPECT_EQ(capture->reports(Nanos{0}).front().census_at, at);
}

// The list of goroutines moves while it is walked.
TEST_F(GoCensusOfMany, WhileTheListGrows) {
  GoTarget target(newest());
  const auto capture = capture_of(newest());
  (void)report_on(*capture, target.pid());
  for (int i = 0; i < 15; ++i) target.tell("park receive 4000");
  uint64_t last = 0;
  for (int i = 0; i < 100; ++i) {
    const auto census = capture->census(target.pid());
    ASSERT_TRUE(census) << census.error().message;
    ASSERT_EQ(census->state, State::kCaptured) << census->reason;
    for (const std::string& note : census->notes) EXPECT_EQ(note.find("no census"), std::string::npos) << note;
    EXPECT_GE(*census->goroutines + 16, last);  // a slot of the list may be taken before its goroutine begins
    last = *census->goroutines;
  }
}

TEST_F(GoCensusOfMany, NoSuchProcess) {
  const auto capture = capture_of("/nowhere");
  const auto census = capture->census(1);
  ASSERT_FALSE(census);
  EXPECT_EQ(census.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace mapshift::observe::go::test
