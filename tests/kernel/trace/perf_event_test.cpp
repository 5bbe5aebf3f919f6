// SPDX-License-Identifier: Apache-2.0
// Samples have no number, so what is shown is that no sample finds an empty slot, and that both generations get theirs.
#include "kernel/attach/hook.h"
#include "trace_lab.h"

namespace mapshift::test {
namespace {

using ::testing::HasSubstr;

class PerfEventTest : public TraceTest {
 protected:
  [[nodiscard]] uint64_t samples(int n) const {
    const auto bytes = kernel_->read_element(map(n, "bss"), std::vector<std::byte>(4));
    return bytes && bytes->size() >= sizeof(uint64_t) ? *reinterpret_cast<const uint64_t*>(bytes->data()) : 0;
  }
};

TEST_F(PerfEventTest, EverySampleFindsAProgram) {
  const Hook hook{.type = "perf_event", .trace = {.event = "cpu-clock", .frequency = 1000}};
  for (const int n : {1, 2}) ASSERT_TRUE(ok(kernel_->load(trace_request(n, "on_sample", hook))));
  ASSERT_TRUE(ok(attach(hook, "on_sample")));
  const std::string pins[] = {program(1, "on_sample"), program(2, "on_sample")};
  for (int i = 0; i < 100; ++i) {
    const int running = i % 2 + 1;
    const uint64_t before = samples(running);
    // Burning time: the clock stands still on an idle CPU.
    EXPECT_TRUE(eventually([&] { return samples(running) > before; }));
    ASSERT_TRUE(ok(kernel_->swap(hook, hook_dir("on_sample"), pins[i % 2], pins[(i + 1) % 2])));
  }
  const DispatcherHook dispatcher{**find_attach_type("perf_event"), hook_dir("on_sample")};
  EXPECT_EQ(dispatcher.misses().value(), 0u);
  EXPECT_GT(samples(1), 0u);
  EXPECT_GT(samples(2), 0u);
  ASSERT_TRUE(ok(kernel_->detach(hook_dir("on_sample"))));
}

TEST_F(PerfEventTest, AnUnknownEventIsNamed) {
  const auto status = kernel_->check_hook({.type = "perf_event", .trace = {.event = "heartbeats", .period = 1}});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("heartbeats"));
  EXPECT_THAT(status.error().message, HasSubstr("cpu-clock"));
}

TEST_F(PerfEventTest, WhatThisMachineCannotCountIsRefused) {
  const Hook hook{.type = "perf_event", .trace = {.event = "cpu-cycles", .period = 1'000'000}};
  if (refusal(hook).empty()) GTEST_SKIP() << "this machine counts cycles";
}

}  // namespace
}  // namespace mapshift::test
