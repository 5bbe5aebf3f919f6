// SPDX-License-Identifier: Apache-2.0
// Programs that may sleep: two are attached for a while, and each event is still processed by one of them.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "kernel/pin.h"
#include "kernel/sleepable_grace.h"
#include "trace_lab.h"

namespace mapshift::test {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

#if defined(__x86_64__)
constexpr const char* kGetpgid = "__x64_sys_getpgid";
#elif defined(__aarch64__)
constexpr const char* kGetpgid = "__arm64_sys_getpgid";
#endif

Hook slow_call() { return {.type = "uprobe", .path = own_executable(), .trace = {.symbol = "ms_traced_function", .overlap = true}}; }

class OverlapTest : public TraceTest {
 protected:
  void load_both(const std::string& name, const Hook& hook) {
    ASSERT_TRUE(ok(kernel_->load(trace_request(1, name, hook))));
    ASSERT_TRUE(ok(kernel_->load(second_request(name, hook))));
  }
};

// Fewer swaps than elsewhere, since each waits for two grace periods, in which events go on.
TEST_F(OverlapTest, CallsAreSeenExactlyOnce) {
  expect_exactly_once_over_swaps({"on_slow_call", slow_call(), [](uint32_t n) { (void)ms_traced_function(n); }, 6, true});
}

TEST_F(OverlapTest, KernelCallsAreSeenExactlyOnceOrRefused) {
  const Hook hook{.type = "fentry", .name = kGetpgid, .trace = {.overlap = true}};
  if (const std::string why = refusal(hook); !why.empty()) GTEST_SKIP() << why;
  expect_exactly_once_over_swaps({"on_slow_fentry", hook, [](uint32_t n) { (void)::syscall(SYS_getpgid, n); }, 6, true});
}

// Where system calls let nobody sleep (CONFIG_FUNCTION_ERROR_INJECTION) this function may: test runs of tracing programs call it.
TEST_F(OverlapTest, TestRunsAreSeenExactlyOnceOrRefused) {
  const Hook hook{.type = "fentry", .name = "bpf_fentry_test1", .trace = {.overlap = true}};
  if (const std::string why = refusal(hook); !why.empty()) GTEST_SKIP() << why;
  const std::array<bpf_insn, 2> code{bpf_insn{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, bpf_insn{BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_FENTRY,
              .attach_btf_id = static_cast<uint32_t>(libbpf_find_vmlinux_btf_id("bpf_fentry_test1", BPF_TRACE_FENTRY)));
  const Fd caller(bpf_prog_load(BPF_PROG_TYPE_TRACING, "ms_caller", "GPL", code.data(), code.size(), &options));
  ASSERT_TRUE(caller.valid());
  const auto send = [&caller](uint32_t n) {
    char name[] = "aaaaaaaa";
    for (int i = 0; i < 8; ++i) name[i] = static_cast<char>('a' + (n >> 4 * i & 15));
    (void)::prctl(PR_SET_NAME, name);
    LIBBPF_OPTS(bpf_test_run_opts, run);
    (void)bpf_prog_test_run_opts(caller.get(), &run);
  };
  expect_exactly_once_over_swaps({"on_slow_named", hook, send, 6, true});
}

TEST_F(OverlapTest, SecurityDecisionsAreSeenExactlyOnceOrRefused) {
  const Hook hook{.type = "lsm", .name = "file_ioctl", .trace = {.overlap = true}};
  if (const std::string why = refusal(hook); !why.empty()) GTEST_SKIP() << why;
  constexpr unsigned kNoSuchRequest = 0x4d53;
  expect_exactly_once_over_swaps({"on_slow_lsm", hook, [](uint32_t n) { (void)::ioctl(0, kNoSuchRequest, static_cast<unsigned long>(n)); }, 6, true});
}

TEST_F(OverlapTest, OneLinkIsLeft) {
  load_both("on_slow_call", slow_call());
  ASSERT_TRUE(ok(attach(slow_call(), "on_slow_call")));
  const auto swapped = kernel_->swap(slow_call(), hook_dir("on_slow_call"), program(1, "on_slow_call"), program(2, "on_slow_call"));
  ASSERT_TRUE(ok(swapped));
  EXPECT_GT(swapped->overlap, Nanos(0));
  EXPECT_THAT(*kernel_->list(hook_dir("on_slow_call")), UnorderedElementsAre("link"));
  ASSERT_TRUE(ok(kernel_->remove_tree(generation(1))));
  const Ledger ledger(map(2, "seen"));
  (void)ms_traced_function(7);
  EXPECT_EQ(ledger.times(7), 1u);
}

// Whoever takes up what a dead agent left finds two links; the word says which one counts.
TEST_F(OverlapTest, AnExchangeThatWasCutShortIsTakenUp) {
  load_both("on_slow_call", slow_call());
  ASSERT_TRUE(ok(attach(slow_call(), "on_slow_call")));
  const std::string dir = hook_dir("on_slow_call");
  const auto link = open_pin(dir + "/link");
  ASSERT_TRUE(ok(link));
  ASSERT_TRUE(ok(kernel_->swap(slow_call(), dir, program(1, "on_slow_call"), program(2, "on_slow_call"))));
  // As it was between the flip and the end: the old program's link first, the new one's beside it.
  const auto next = open_pin(dir + "/link");
  ASSERT_TRUE(ok(next));
  ASSERT_TRUE(ok(unpin(dir + "/link")));
  ASSERT_TRUE(ok(pin(link->get(), dir + "/link")));
  ASSERT_TRUE(ok(pin(next->get(), dir + "/next")));
  EXPECT_EQ(kernel_->running(slow_call(), dir, program(1, "on_slow_call"), program(2, "on_slow_call")).value_or(-1), 1);
  ASSERT_TRUE(ok(kernel_->swap(slow_call(), dir, program(2, "on_slow_call"), program(1, "on_slow_call"))));
  EXPECT_EQ(kernel_->running(slow_call(), dir, program(1, "on_slow_call"), program(2, "on_slow_call")).value_or(-1), 0);
  EXPECT_THAT(*kernel_->list(dir), UnorderedElementsAre("link"));
}

TEST_F(OverlapTest, AnUpdateThatEndsInMidExchangeDropsTheIdleLink) {
  load_both("on_slow_call", slow_call());
  ASSERT_TRUE(ok(attach(slow_call(), "on_slow_call")));
  const std::string dir = hook_dir("on_slow_call");
  ASSERT_TRUE(ok(kernel_->attach(slow_call(), module() + "/hooks/other", program(2, "on_slow_call"))));
  const auto next = open_pin(module() + "/hooks/other/link");
  ASSERT_TRUE(ok(next));
  ASSERT_TRUE(ok(pin(next->get(), dir + "/next")));
  ASSERT_TRUE(ok(kernel_->detach(module() + "/hooks/other")));
  ASSERT_TRUE(ok(kernel_->remove_tree(generation(2))));
  EXPECT_THAT(*kernel_->list(dir), UnorderedElementsAre("link"));
}

TEST_F(OverlapTest, WithoutAGateItIsRefused) {
  const Hook hook = slow_call();
  ASSERT_TRUE(ok(kernel_->load(trace_request(1, "on_gateless", hook))));
  const auto attached = attach(hook, "on_gateless");
  ASSERT_FALSE(attached);
  EXPECT_THAT(attached.error().message, HasSubstr("MS_GATED"));
}

TEST_F(OverlapTest, TypesWithoutOverlapSaySo) {
  for (const Hook& hook : {Hook{.type = "xdp", .interface = "lo", .trace = {.overlap = true}},
                           Hook{.type = "perf_event", .trace = {.event = "cpu-clock", .period = 1, .overlap = true}}}) {
    const auto status = kernel_->check_hook(hook);
    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().message, HasSubstr("overlap"));
  }
}

TEST_F(OverlapTest, ProgramsThatMaySleepAreWaitedFor) { EXPECT_TRUE(ok(check_sleepable_grace())); }

}  // namespace
}  // namespace mapshift::test
