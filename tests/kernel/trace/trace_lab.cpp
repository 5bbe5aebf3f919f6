// SPDX-License-Identifier: Apache-2.0
#include "trace_lab.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <thread>

#include "kernel/attach/hook.h"
#include "kernel/digest.h"
#include "kernel/object_file.h"
#include "static_probe.h"

namespace mapshift::test {

// The assembly keeps each from being inlined, merged with its twin, or left out.
extern "C" __attribute__((noinline, used, visibility("default"))) uint32_t ms_traced_function(uint32_t number) {
  __asm__ volatile("" : "+r"(number));
  return number;
}
extern "C" __attribute__((noinline, used, visibility("default"))) uint32_t ms_traced_twin(uint32_t number) {
  __asm__ volatile("nop" : "+r"(number));
  return number;
}

extern "C" {
__attribute__((section(".probes"), used)) uint16_t ms_event_semaphore = 0;
}

__attribute__((noinline)) void ms_static_probe(uint32_t number) {
  __asm__ volatile(MS_STATIC_PROBE("mapshift", "event", "ms_event_semaphore", "-4@$-9 4@%k0") : : "r"(number));
  __asm__ volatile(MS_STATIC_PROBE("mapshift", "other", "0", "4@%k0") : : "r"(~number));
}

namespace {

std::vector<std::byte> bytes_of(uint32_t value) {
  std::vector<std::byte> bytes(sizeof(value));
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

}  // namespace

std::string own_executable() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

LoadRequest TraceTest::trace_request(int n, const std::string& program, const Hook& hook) const {
  LoadRequest request;
  request.object_path = TRACE_LEDGER_OBJECT;
  request.object_digest = sha256_hex(read_file_bytes(TRACE_LEDGER_OBJECT).value());
  request.generation_dir = generation(n);
  request.rodata = {{"traced_pid", bytes_of(static_cast<uint32_t>(::getpid()))}, {"traced_syscall", bytes_of(SYS_getpgid)},
                    {"ms_generation", bytes_of(static_cast<uint32_t>(n))}};
  request.log_dir = log_dir_;
  request.hooks = {{program, hook}};
  return request;
}

LoadRequest TraceTest::second_request(const std::string& program, const Hook& hook) const {
  LoadRequest request = trace_request(2, program, hook);
  if (!hook.trace.overlap) return request;
  for (const std::string name : {"ms_gate_" + program, "ms_turn_" + program}) request.reuse[name] = map(1, name);
  return request;
}

void TraceTest::expect_exactly_once_over_swaps(const Load& load) {
  ASSERT_TRUE(ok(kernel_->check_hook(load.hook)));
  ASSERT_TRUE(ok(kernel_->load(trace_request(1, load.program, load.hook))));
  ASSERT_TRUE(ok(kernel_->load(second_request(load.program, load.hook))));
  ASSERT_TRUE(ok(attach(load.hook, load.program)));
  const Ledger ledger1(map(1, "seen")), ledger2(map(2, "seen"));
  // Senders get events swap by swap: enough to be busy throughout it, few enough for the ledger.
  const uint32_t share = std::min(4096u, kLedgerEntries / static_cast<uint32_t>(load.swaps + 1));
  std::atomic<uint32_t> next{0}, granted{load.flowing ? kLedgerEntries : share};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&](const std::stop_token& over) {  // said by the threads' end as well, where an assertion ends the test
      while (!over.stop_requested()) {
        uint32_t n = next.load();
        if (n >= granted) {
          std::this_thread::yield();
        } else if (next.compare_exchange_weak(n, n + 1)) {
          load.send(n);
        }
      }
    });
  }
  const std::string pins[] = {program(1, load.program), program(2, load.program)};
  for (int i = 0; i < load.swaps; ++i) {
    const uint32_t before = next;
    if (!load.flowing) granted += share;
    while (next < std::min(before + 8, granted.load())) std::this_thread::yield();
    ASSERT_TRUE(ok(kernel_->swap(load.hook, hook_dir(load.program), pins[i % 2], pins[(i + 1) % 2])));
    ASSERT_EQ(kernel_->running(load.hook, hook_dir(load.program), pins[0], pins[1]).value_or(-1), (i + 1) % 2);
  }
  threads.clear();
  const uint32_t sent = next;
  expect_exactly_once(ledger1, ledger2, sent);
  RecordProperty("events", static_cast<int>(sent));
  ASSERT_TRUE(ok(kernel_->detach(hook_dir(load.program))));
}

std::string TraceTest::refusal(const Hook& hook) {
  const auto served = kernel_->check_hook(hook);
  if (served) return {};
  EXPECT_EQ(served.error().code, ErrorCode::kUnsupported) << served.error().message;
  EXPECT_THAT(served.error().message, ::testing::HasSubstr(hook.type));
  return served.error().message;
}

}  // namespace mapshift::test
