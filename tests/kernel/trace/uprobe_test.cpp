// SPDX-License-Identifier: Apache-2.0
// Probes of executables: this one's own functions.
#include <unistd.h>

#include "kernel/uprobe.h"
#include "kernel/user_elf.h"
#include "trace_lab.h"

namespace mapshift::test {
namespace {

using ::testing::HasSubstr;

Hook uprobe(const std::string& type, const std::string& symbol) {
  return {.type = type, .path = own_executable(), .trace = {.symbol = symbol}};
}

void call(uint32_t number) { (void)ms_traced_function(number); }

class UprobeTest : public TraceTest {};

TEST_F(UprobeTest, CallsAreSeenExactlyOnce) { expect_exactly_once_over_swaps({"on_call", uprobe("uprobe", "ms_traced_function"), call}); }

TEST_F(UprobeTest, ReturnsAreSeenExactlyOnce) {
  expect_exactly_once_over_swaps({"on_return", uprobe("uretprobe", "ms_traced_function"), call});
}

TEST_F(UprobeTest, AProcessIsSeenWithAllItsThreads) {
  Hook hook = uprobe("uprobe", "ms_traced_function");
  hook.trace.pid = ::getpid();
  expect_exactly_once_over_swaps({"on_call", hook, call, 20});
}

TEST_F(UprobeTest, ManyFunctionsAreSeenExactlyOnceOrRefused) {
  const Hook hook = uprobe("uprobe_multi", "ms_traced_*");
  if (const std::string why = refusal(hook); !why.empty()) GTEST_SKIP() << why;
  const auto both = [](uint32_t n) { (void)(n % 2 == 0 ? ms_traced_function(n) : ms_traced_twin(n)); };
  expect_exactly_once_over_swaps({"on_calls", hook, both});
}

TEST_F(UprobeTest, ManyReturnsAreSeenExactlyOnceOrRefused) {
  const Hook hook = uprobe("uretprobe_multi", "ms_traced_????????");
  if (const std::string why = refusal(hook); !why.empty()) GTEST_SKIP() << why;
  expect_exactly_once_over_swaps({"on_returns", hook, call, 20});
}

TEST_F(UprobeTest, AnOffsetIsAPlaceInTheFile) {
  const auto elf = UserElf::open(own_executable());
  ASSERT_TRUE(elf);
  const auto place = elf->function_offset("ms_traced_function");
  ASSERT_TRUE(ok(place));
  Hook hook = uprobe("uprobe", "");
  hook.trace.offset = *place;
  expect_exactly_once_over_swaps({"on_call", hook, call, 4});
}

TEST_F(UprobeTest, WhatCannotBeProbedIsNamed) {
  const std::string self = own_executable();
  const std::pair<Hook, std::string> cases[] = {
      {uprobe("uprobe", "no_such_function"), "no_such_function"},
      {{.type = "uprobe", .path = "/nonexistent/app", .trace = {.symbol = "main"}}, "/nonexistent/app"},
      {{.type = "uprobe", .path = "/proc/self/status", .trace = {.symbol = "main"}}, "ELF"},
      {{.type = "uprobe", .path = "/tmp", .trace = {.symbol = "main"}}, "/tmp"},
      {{.type = "uprobe", .path = self, .trace = {.offset = 1}}, "no code"},
      {{.type = "uprobe", .path = self, .trace = {.offset = uint64_t{1} << 45}}, "no code"},
      {{.type = "uprobe", .path = self, .trace = {.symbol = "ms_traced_function", .pid = 0x7ffffff0}}, "no process"},
  };
  for (const auto& [hook, named] : cases) {
    const auto status = kernel_->check_hook(hook);
    ASSERT_FALSE(status) << named;
    EXPECT_THAT(status.error().message, HasSubstr(named));
  }
}

TEST_F(UprobeTest, StaticProbesAreSeenExactlyOnce) {
  const Hook hook{.type = "usdt", .name = "event", .path = own_executable(), .trace = {.provider = "mapshift"}};
  expect_exactly_once_over_swaps({"on_static", hook, ms_static_probe});
  EXPECT_TRUE(eventually([] { return *static_cast<volatile uint16_t*>(&ms_event_semaphore) == 0; }));
}

TEST_F(UprobeTest, ANewStaticProbeWaitsForItsWord) {
  const Hook hook{.type = "usdt", .name = "event", .path = own_executable(), .trace = {.provider = "mapshift"}, .together = module() + "/together"};
  ASSERT_TRUE(ok(kernel_->load(trace_request(1, "on_static", hook))));
  ASSERT_TRUE(ok(kernel_->stage(hook, hook_dir("on_static"), "", program(1, "on_static"))));
  const Ledger seen(map(1, "seen"));
  ms_static_probe(0);
  EXPECT_EQ(seen.times(0), 0u);
  const auto now = kernel_->course(hook.together);
  ASSERT_TRUE(ok(now));
  Course next = *now;
  next.odd = !next.odd;
  ASSERT_TRUE(ok(kernel_->set_course(hook.together, *now, next)));
  ms_static_probe(1);
  EXPECT_EQ(seen.times(1), 1u);
  ASSERT_TRUE(ok(kernel_->detach(hook_dir("on_static"))));
}

TEST_F(UprobeTest, AStaticProbeIsToldThatItIsHeard) {
  const Hook hook{.type = "usdt", .name = "event", .path = own_executable(), .trace = {.provider = "mapshift"}};
  ASSERT_TRUE(ok(kernel_->load(trace_request(1, "on_static", hook))));
  ASSERT_TRUE(ok(attach(hook, "on_static")));
  EXPECT_EQ(*static_cast<volatile uint16_t*>(&ms_event_semaphore), 1);
  for (const char* gone : {"nothing", "other"}) {
    const Hook wrong{.type = "usdt", .name = gone, .path = own_executable(), .trace = {.provider = "nobody"}};
    EXPECT_THAT(kernel_->check_hook(wrong).error().message, HasSubstr("no static probe nobody:"));
  }
}

TEST_F(UprobeTest, ADetachedProbeIsGone) {
  const Hook hook = uprobe("uprobe", "ms_traced_function");
  ASSERT_TRUE(ok(kernel_->load(trace_request(1, "on_call", hook))));
  ASSERT_TRUE(ok(attach(hook, "on_call")));
  const Ledger ledger(map(1, "seen"));
  call(1);
  ASSERT_TRUE(ok(kernel_->detach(hook_dir("on_call"))));
  // The kernel takes the probe out after the last reference to its link went.
  EXPECT_TRUE(eventually([&, n = 2u]() mutable {
    call(++n);
    return ledger.times(n) == 0;
  }));
  EXPECT_EQ(ledger.times(1), 1u);
}

}  // namespace
}  // namespace mapshift::test
