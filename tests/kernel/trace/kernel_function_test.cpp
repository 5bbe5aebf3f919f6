// SPDX-License-Identifier: Apache-2.0
// Functions and tracepoints of the kernel. Some kernels serve only some of these types: the others must be refused with a reason.
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/attach/hook.h"
#include "trace_lab.h"

namespace mapshift::test {
namespace {

using ::testing::HasSubstr;

#if defined(__x86_64__)
constexpr const char* kGetpgid = "__x64_sys_getpgid";
#elif defined(__aarch64__)
constexpr const char* kGetpgid = "__arm64_sys_getpgid";
#endif

struct Case {
  std::string program, type, name;
};

class KernelFunctionTest : public TraceTest, public ::testing::WithParamInterface<Case> {};

TEST_P(KernelFunctionTest, CallsAreSeenExactlyOnceOrRefused) {
  const Hook hook{.type = GetParam().type, .name = GetParam().name};
  if (const std::string why = refusal(hook); !why.empty()) GTEST_SKIP() << why;
  expect_exactly_once_over_swaps({GetParam().program, hook, [](uint32_t n) { (void)::syscall(SYS_getpgid, n); }});
}

INSTANTIATE_TEST_SUITE_P(Types, KernelFunctionTest,
                         ::testing::Values(Case{"on_kernel_call", "kprobe", kGetpgid}, Case{"on_kernel_calls", "kprobe_multi", kGetpgid},
                                           Case{"on_fentry", "fentry", kGetpgid}, Case{"on_fexit", "fexit", kGetpgid},
                                           Case{"on_tp_btf", "tp_btf", "sys_enter"}),
                         [](const auto& test) { return test.param.type; });

class KernelHookTest : public TraceTest {};

TEST_F(KernelHookTest, SecurityDecisionsAreSeenExactlyOnceOrRefused) {
  const Hook hook{.type = "lsm", .name = "file_ioctl"};
  if (const std::string why = refusal(hook); !why.empty()) GTEST_SKIP() << why;
  constexpr unsigned kNoSuchRequest = 0x4d53;
  const int pipe = ::dup(0);
  expect_exactly_once_over_swaps({"on_lsm", hook, [pipe](uint32_t n) { (void)::ioctl(pipe, kNoSuchRequest, static_cast<unsigned long>(n)); }});
  ::close(pipe);
}

TEST_F(KernelHookTest, ReturnsAreSeenByBothOrRefused) {
  const Hook hook{.type = "kretprobe", .name = kGetpgid};
  if (const std::string why = refusal(hook); !why.empty()) GTEST_SKIP() << why;
  for (const int n : {1, 2}) ASSERT_TRUE(ok(kernel_->load(trace_request(n, "on_kernel_return", hook))));
  ASSERT_TRUE(ok(attach(hook, "on_kernel_return")));
  const auto returns = [&](int n) {
    const auto bytes = kernel_->read_element(map(n, "bss"), std::vector<std::byte>(4));
    return bytes && bytes->size() >= 8 ? *reinterpret_cast<const uint64_t*>(bytes->data()) : 0;
  };
  constexpr int kCalls = 1000;
  for (int i = 0; i < kCalls; ++i) {
    (void)::syscall(SYS_getpgid, 0);
    if (i % 100 != 99) continue;
    const int from = (i / 100) % 2 == 0 ? 1 : 2;
    ASSERT_TRUE(ok(kernel_->swap(hook, hook_dir("on_kernel_return"), program(from, "on_kernel_return"), program(3 - from, "on_kernel_return"))));
  }
  EXPECT_EQ(returns(1) + returns(2), static_cast<uint64_t>(kCalls));
}

TEST_F(KernelHookTest, WhatIsNotThereIsNamed) {
  for (const std::string type : {"kprobe", "kretprobe", "kprobe_multi", "kretprobe_multi", "fentry", "fexit", "tp_btf", "lsm"}) {
    const auto status = kernel_->check_hook({.type = type, .name = "ms_no_such_thing"});
    ASSERT_FALSE(status) << type;
    EXPECT_THAT(status.error().message, HasSubstr(type));
  }
}

// Another function's program is refused before anything changes, also where program arrays would take it (before Linux 6.11).
TEST_F(KernelHookTest, AProgramForAnotherTargetIsRefused) {
  const Hook hook{.type = "tp_btf", .name = "sys_enter"}, other{.type = "tp_btf", .name = "sys_exit"};
  if (const std::string why = refusal(hook); !why.empty()) GTEST_SKIP() << why;
  ASSERT_TRUE(ok(kernel_->load(trace_request(1, "on_tp_btf", hook))));
  ASSERT_TRUE(ok(kernel_->load(trace_request(2, "on_tp_btf", other))));
  ASSERT_TRUE(ok(attach(hook, "on_tp_btf")));
  const auto swapped = kernel_->swap(hook, hook_dir("on_tp_btf"), program(1, "on_tp_btf"), program(2, "on_tp_btf"));
  ASSERT_FALSE(swapped);
  EXPECT_EQ(swapped.error().code, ErrorCode::kRefused);
  EXPECT_EQ(kernel_->running(hook, hook_dir("on_tp_btf"), program(1, "on_tp_btf"), program(2, "on_tp_btf")).value_or(-1), 0);
}

}  // namespace
}  // namespace mapshift::test
