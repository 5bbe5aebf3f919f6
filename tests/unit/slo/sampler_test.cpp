// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <atomic>
#include <future>

#include "update/sampler_host.h"
#include "update/sampler_worker.h"

namespace mapshift::update {
namespace {

using namespace std::chrono_literals;

TEST(HostSampler, ReadsTheCpuLine) {
  const auto times = parse_cpu_times("cpu  100 20 30 400 50 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 0 0\n");
  ASSERT_TRUE(times) << times.error().message;
  EXPECT_EQ(times->total, 621) << "guest time is part of user time";
  EXPECT_EQ(times->idle, 450);
  EXPECT_EQ(times->softirq, 7);
}

TEST(HostSampler, RefusesWhatIsNoCpuLine) {
  for (const char* text : {"", "cpu", "cpu0 1 2 3 4 5 6 7 8\n", "cpu  1 2 3\n", "cpu  1 2 3 4 5 6 seven 8\n", "intr 1 2 3 4 5 6 7 8\n", "cpu  1 2 3 4 5 6 7\n8\n"})
    EXPECT_FALSE(parse_cpu_times(text)) << text;
}

TEST(HostSampler, ReadsTheLineOfAnInterface) {
  const char* text =
      "Inter-|   Receive                                                |  Transmit\n"
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
      "    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0\n"
      "veth0: 5 10 1 2 0 0 0 0 6 20 1 3 0 0 0 0\n"
      "short: 5 10 1\n";
  const auto counters = parse_interface(text, "veth0");
  ASSERT_TRUE(counters) << counters.error().message;
  EXPECT_EQ(counters->delivered, 30);
  EXPECT_EQ(counters->dropped, 5);
  EXPECT_EQ(parse_interface(text, "lo")->delivered, 2);
  EXPECT_EQ(parse_interface(text, "veth").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(parse_interface(text, "short").error().code, ErrorCode::kInternal);
  EXPECT_FALSE(parse_interface("", "lo"));
}

TEST(HostSampler, ReadsThisHost) {
  slo::Sample sample;
  ASSERT_TRUE(read_host("cpu_share", "", sample));
  EXPECT_GT(*sample.den, *sample.num);
  ASSERT_TRUE(read_host("drops_rate", "lo", sample));
  EXPECT_TRUE(sample.value);
  const Status missing = read_host("drop_ratio", "nosuchlink0", sample);
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, ::testing::HasSubstr("nosuchlink0"));
}

TEST(SamplerWorker, ReadsInOrderAndSaysWhenDone) {
  std::promise<void> both;
  std::atomic<int> done{0};
  SamplerWorker worker(
      [](const slo::Objective& objective) {
        slo::Sample sample;
        sample.value = objective.max;
        return sample;
      },
      [&] {
        if (++done == 2) both.set_value();
      });
  for (size_t i = 0; i < 2; ++i) {
    slo::Objective objective;
    objective.max = static_cast<double>(i) * 10;
    worker.ask(i, objective);
  }
  ASSERT_EQ(both.get_future().wait_for(10s), std::future_status::ready);
  EXPECT_TRUE(worker.ready());
  const auto taken = worker.take();
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0].first, 0u);
  EXPECT_EQ(taken[1].first, 1u);
  EXPECT_EQ(taken[1].second.value, 10);
  EXPECT_FALSE(worker.ready());
}

TEST(SamplerWorker, ASlowReadingHoldsUpNobodyButItsOwnEnd) {
  std::promise<void> release;
  auto released = release.get_future().share();
  auto worker = std::make_unique<SamplerWorker>(
      [released](const slo::Objective&) {
        released.wait();
        return slo::Sample{};
      },
      [] {});
  worker->ask(0, {});
  worker->ask(1, {});
  EXPECT_TRUE(worker->take().empty());
  release.set_value();
  worker.reset();  // what was only asked for is not read any more
}

}  // namespace
}  // namespace mapshift::update
