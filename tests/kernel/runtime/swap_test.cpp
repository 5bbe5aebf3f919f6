// SPDX-License-Identifier: Apache-2.0
// Swaps back and forth under load: each numbered event is processed by exactly one generation.
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/clock.h"
#include "kernel/attach/hook.h"
#include "ledger.h"
#include "private_cgroup.h"

namespace mapshift::test {
namespace {

using Send = std::function<bool(uint32_t)>;

class SwapTest : public RuntimeTest {
 protected:
  struct Load {
    std::string program;
    Hook hook;
    std::function<Send()> sender;  // called once on each sending thread
    int swaps = 0;
    std::chrono::microseconds pause{0};
    bool queued = false;  // events are processed after send() returned, from a queue that must not overflow
  };

  void run(const Load& load) {
    for (const int n : {1, 2}) ASSERT_TRUE(ok(kernel_->load(request(n))));
    ASSERT_TRUE(ok(attach(load.hook, load.program)));
    const Ledger ledger1(map(1, "seen")), ledger2(map(2, "seen"));
    // What is sent before the first swap leaves room for what comes after each of them, however late that is.
    std::atomic<uint32_t> next{0}, limit{kLedgerEntries / 4};
    std::atomic<bool> refused{false};
    const auto processed = [&](uint32_t n) { return ledger1.times(n) + ledger2.times(n) > 0; };
    std::vector<std::jthread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&](const std::stop_token& over) {
        const Send send = load.sender();
        for (uint32_t n = 0; !over.stop_requested();) {
          if (next >= limit) {
            std::this_thread::yield();
            continue;
          }
          if ((n = next.fetch_add(1)) >= kLedgerEntries) break;
          if (!send(n)) refused = true;
          if (load.queued && n % 16 == 0 && !eventually([&] { return processed(n); })) refused = true;
        }
      });
    }
    EXPECT_TRUE(eventually([&] { return next > 64; }));
    swap_often(load, [&](int swaps) {
      const uint32_t from = next;
      limit = kLedgerEntries / 4 + kLedgerEntries / 4 * 3 / static_cast<uint32_t>(load.swaps) * static_cast<uint32_t>(swaps);
      for (const Nanos until = monotonic_now() + std::chrono::seconds(5); next <= from && monotonic_now() < until;) std::this_thread::yield();
      EXPECT_GT(next, from);
    });
    threads.clear();
    ASSERT_FALSE(refused);
    const uint32_t sent = std::min(next.load(), kLedgerEntries);
    await_all(ledger1, ledger2, sent);
    expect_exactly_once(ledger1, ledger2, sent);
    RecordProperty("events", static_cast<int>(sent));
    ASSERT_TRUE(ok(kernel_->detach(hook_dir(load.program))));
  }

  // `then` is told how many swaps were made.
  void swap_often(const Load& load, const std::function<void(int)>& then = {}) {
    const std::string dir = hook_dir(load.program);
    const std::string pins[] = {program(1, load.program), program(2, load.program)};
    for (int i = 0; i < load.swaps; ++i) {
      const auto report = kernel_->swap(load.hook, dir, pins[i % 2], pins[(i + 1) % 2]);
      ASSERT_TRUE(ok(report));
      EXPECT_LE(report->began, report->ended);
      const auto running = kernel_->running(load.hook, dir, pins[0], pins[1]);
      ASSERT_TRUE(ok(running));
      ASSERT_EQ(*running, (i + 1) % 2);
      std::this_thread::sleep_for(load.pause);
      if (then) then(i + 1);
    }
  }

  static Send syscall_sender() {
    return [](uint32_t n) { return ::syscall(SYS_getpgid, n) != -2; };
  }
  static Send frame_sender() {
    const auto socket = std::make_shared<Fd>(open_frame_socket(PrivateNet::kFar));
    return [socket](uint32_t n) { return send_frame(*socket, PrivateNet::kFar, n); };
  }
  static Send datagram_sender() {
    const auto socket = std::make_shared<Fd>(open_datagram_socket());
    return [socket](uint32_t n) { return send_datagram(*socket, n); };
  }
};

TEST_F(SwapTest, TracepointLosesNothing) {
  run({"on_tracepoint", {.type = "tracepoint", .category = "syscalls", .name = "sys_enter_getpgid"}, syscall_sender, 200,
      std::chrono::milliseconds(1)});
}

TEST_F(SwapTest, RawTracepointLosesNothing) {
  run({"on_raw", {.type = "raw_tracepoint", .name = "sys_enter"}, syscall_sender, 200, std::chrono::milliseconds(1)});
}

TEST_F(SwapTest, DispatcherNeverMisses) {
  const Hook hook{.type = "tracepoint", .category = "syscalls", .name = "sys_enter_getpgid"};
  for (const int n : {1, 2}) ASSERT_TRUE(ok(kernel_->load(request(n))));
  ASSERT_TRUE(ok(attach(hook, "on_tracepoint")));
  std::atomic<bool> stop{false};
  std::jthread caller([&] {
    while (!stop) (void)::syscall(SYS_getpgid, 1);
  });
  swap_often({"on_tracepoint", hook, {}, 100, std::chrono::microseconds(500)});
  stop = true;
  caller.join();
  const DispatcherHook dispatcher{**find_attach_type("tracepoint"), hook_dir("on_tracepoint")};
  EXPECT_EQ(dispatcher.misses().value(), 0u);
}

TEST_F(SwapTest, NativeXdpLosesNothing) {
  const PrivateNet net;
  MS_SKIP_FOR(net.problem());
  run({"on_xdp", {.type = "xdp", .interface = PrivateNet::kNear, .mode = "native"}, frame_sender, 20,
      std::chrono::milliseconds(3), true});
}

TEST_F(SwapTest, GenericXdpLosesNothing) {
  const PrivateNet net;
  MS_SKIP_FOR(net.problem());
  run({"on_xdp", {.type = "xdp", .interface = PrivateNet::kNear, .mode = "generic"}, frame_sender, 20,
      std::chrono::milliseconds(3), true});
}

TEST_F(SwapTest, TcxIngressLosesNothing) {
  MS_SKIP_FOR(needs_linux(6, 6, "tcx"));
  const PrivateNet net;
  MS_SKIP_FOR(net.problem());
  run({"on_tcx", {.type = "tcx", .interface = PrivateNet::kNear, .direction = "ingress"}, frame_sender, 20,
      std::chrono::milliseconds(3), true});
}

TEST_F(SwapTest, TcxEgressLosesNothing) {
  MS_SKIP_FOR(needs_linux(6, 6, "tcx"));
  const PrivateNet net;
  MS_SKIP_FOR(net.problem());
  run({"on_tcx", {.type = "tcx", .interface = PrivateNet::kFar, .direction = "egress"}, frame_sender, 20,
      std::chrono::milliseconds(3), true});
}

TEST_F(SwapTest, CgroupLosesNothing) {
  const PrivateNet net;
  MS_SKIP_FOR(net.problem());
  const PrivateCgroup cgroup;
  ASSERT_NE(cgroup.path(), "");
  run({"on_egress", {.type = "cgroup", .path = cgroup.path(), .hook = "skb_egress"}, datagram_sender, 20,
      std::chrono::milliseconds(3)});
}

TEST_F(SwapTest, CgroupIngressLosesNothing) {
  const PrivateNet net;
  MS_SKIP_FOR(net.problem());
  const PrivateCgroup cgroup;
  ASSERT_NE(cgroup.path(), "");
  run({"on_ingress", {.type = "cgroup", .path = cgroup.path(), .hook = "skb_ingress"}, datagram_sender, 20,
      std::chrono::milliseconds(3)});
}

}  // namespace
}  // namespace mapshift::test
