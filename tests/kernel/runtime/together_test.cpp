// SPDX-License-Identifier: Apache-2.0
// Several hooks behind one word: a single store moves all of them, and numbered events are processed once each.
#include <bpf/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "kernel/program.h"
#include "ledger.h"

namespace mapshift::test {
namespace {

class TogetherTest : public RuntimeTest {
 protected:
  [[nodiscard]] std::string word() const { return module() + "/together"; }
  [[nodiscard]] Hook tracepoint() const {
    return {.type = "tracepoint", .category = "syscalls", .name = "sys_enter_getpgid", .together = word()};
  }
  [[nodiscard]] Hook xdp() const { return {.type = "xdp", .interface = PrivateNet::kNear, .mode = "generic", .together = word()}; }
  [[nodiscard]] Status stage(const Hook& hook, const std::string& name) {
    return kernel_->stage(hook, hook_dir(name), program(1, name), program(2, name));
  }
  [[nodiscard]] int side(const Hook& hook, const std::string& name) {
    const auto running = kernel_->running(hook, hook_dir(name), program(1, name), program(2, name));
    EXPECT_TRUE(ok(running));
    return running.value_or(-1);
  }
  void move(const Course& to) {
    const auto now = kernel_->course(word());
    ASSERT_TRUE(ok(now));
    ASSERT_TRUE(ok(kernel_->set_course(word(), *now, to)));
  }
  void load_both() {
    for (const int n : {1, 2}) ASSERT_TRUE(ok(kernel_->load(request(n))));
  }
  void TearDown() override {
    if (fs_ != nullptr && fs_->problem().empty()) {
      EXPECT_TRUE(ok(kernel_->remove_tree(generation(2))));
    }
    RuntimeTest::TearDown();
  }
};

void call(uint32_t n) { (void)::syscall(SYS_getpgid, n); }

TEST_F(TogetherTest, OneStoreMovesHooksOfDifferentTypes) {
  const PrivateNet net;
  MS_SKIP_FOR(net.problem());
  load_both();
  ASSERT_TRUE(ok(attach(tracepoint(), "on_tracepoint")));
  ASSERT_TRUE(ok(attach(xdp(), "on_xdp")));  // native: its link runs the program itself
  ASSERT_TRUE(ok(stage(tracepoint(), "on_tracepoint")));
  ASSERT_TRUE(ok(stage(xdp(), "on_xdp")));
  ASSERT_TRUE(ok(stage(xdp(), "on_xdp")));  // again, as after a restart
  EXPECT_EQ(side(tracepoint(), "on_tracepoint") + side(xdp(), "on_xdp"), 0);
  const Ledger old_seen(map(1, "seen")), new_seen(map(2, "seen"));
  const Fd frames = open_frame_socket(PrivateNet::kFar);
  const auto both = [&](uint32_t n) {
    call(n);
    ASSERT_TRUE(send_frame(frames, PrivateNet::kFar, n + 1));
    ASSERT_TRUE(eventually([&] { return old_seen.times(n + 1) + new_seen.times(n + 1) == 1; }));
  };
  both(0);
  move({.odd = true});
  EXPECT_EQ(side(tracepoint(), "on_tracepoint") + side(xdp(), "on_xdp"), 2);
  both(2);
  move({});
  both(4);
  for (const uint32_t n : {0u, 1u, 4u, 5u}) EXPECT_EQ(old_seen.times(n), 1u) << n;
  for (const uint32_t n : {2u, 3u}) EXPECT_EQ(new_seen.times(n), 1u) << n;
}

TEST_F(TogetherTest, AStoreUnderLoadLosesNothing) {
  const PrivateNet net;
  MS_SKIP_FOR(net.problem());
  load_both();
  ASSERT_TRUE(ok(attach(xdp(), "on_xdp")));
  const Ledger old_seen(map(1, "seen")), new_seen(map(2, "seen"));
  std::atomic<uint32_t> next{0};
  std::atomic<bool> refused{false};
  std::jthread sender([&](const std::stop_token& over) {
    const Fd frames = open_frame_socket(PrivateNet::kFar);
    const auto seen = [&](uint32_t n) { return old_seen.times(n) + new_seen.times(n) > 0; };
    for (uint32_t n = 0; !over.stop_requested() && n < kLedgerEntries; ++n) {
      if (!send_frame(frames, PrivateNet::kFar, n)) refused = true;
      next = n + 1;
      if (n % 16 == 0 && !eventually([&] { return seen(n); })) refused = true;
    }
  });
  const auto more = [&] {
    const uint32_t from = next;
    EXPECT_TRUE(eventually([&] { return next > from + 32; }));
  };
  more();
  ASSERT_TRUE(ok(stage(xdp(), "on_xdp")));  // from the program to the dispatcher
  for (int n = 0; n < 20; ++n) {
    more();
    move({.odd = n % 2 == 0});
  }
  for (const double share : {0.05, 0.5, 0.0}) {
    more();
    move({.share = static_cast<uint32_t>(share * 4294967296.0), .watched = share > 0});
  }
  more();
  ASSERT_TRUE(ok(kernel_->grace_period()));
  ASSERT_TRUE(ok(kernel_->unstage(xdp(), hook_dir("on_xdp"), program(1, "on_xdp"))));  // and back
  more();
  sender.request_stop();
  sender.join();
  ASSERT_FALSE(refused);
  await_all(old_seen, new_seen, next);
  expect_exactly_once(old_seen, new_seen, next);
  EXPECT_THAT(kernel_->list(hook_dir("on_xdp")).value(), ::testing::ElementsAre("link"));
}

TEST_F(TogetherTest, ANewAndAGoneProgramMoveWithTheStore) {
  load_both();
  Hook fresh = tracepoint();
  ASSERT_TRUE(ok(kernel_->stage(fresh, hook_dir("on_tracepoint"), "", program(2, "on_tracepoint"))));
  const Ledger old_seen(map(1, "seen")), new_seen(map(2, "seen"));
  call(0);
  EXPECT_EQ(kernel_->running(fresh, hook_dir("on_tracepoint"), "", program(2, "on_tracepoint")).value(), 0);
  move({.odd = true});
  call(1);
  EXPECT_EQ(kernel_->running(fresh, hook_dir("on_tracepoint"), "", program(2, "on_tracepoint")).value(), 1);
  // And gone again: the way that a program goes which the next generation does not have.
  ASSERT_TRUE(ok(kernel_->stage(fresh, hook_dir("on_tracepoint"), program(2, "on_tracepoint"), "")));
  move({});
  call(2);
  EXPECT_EQ(old_seen.times(0) + old_seen.times(1) + old_seen.times(2) + new_seen.times(0) + new_seen.times(2), 0u);
  EXPECT_EQ(new_seen.times(1), 1u);
  ASSERT_TRUE(ok(kernel_->grace_period()));
  ASSERT_TRUE(ok(kernel_->remove_tree(generation(2))));
  EXPECT_THAT(kernel_->list(hook_dir("on_tracepoint")).value(), ::testing::IsEmpty());  // with the last generation that had it
}

TEST_F(TogetherTest, WhatIsNotAsExpectedIsRefused) {
  load_both();
  ASSERT_TRUE(ok(attach(tracepoint(), "on_tracepoint")));
  const auto wrong = kernel_->stage(tracepoint(), hook_dir("on_tracepoint"), program(2, "on_tracepoint"), program(1, "on_tracepoint"));
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::kConflict);
  ASSERT_TRUE(ok(stage(tracepoint(), "on_tracepoint")));
  const auto moved = kernel_->set_course(word(), {.odd = true}, {});
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().code, ErrorCode::kConflict);
  EXPECT_EQ(kernel_->course(word()).value(), Course{});
  Hook alone = tracepoint();
  alone.together = module() + "/elsewhere";
  ASSERT_FALSE(kernel_->stage(alone, hook_dir("on_tracepoint"), program(1, "on_tracepoint"), program(2, "on_tracepoint")));
  // Each hook still moves alone.
  ASSERT_TRUE(ok(kernel_->swap(tracepoint(), hook_dir("on_tracepoint"), program(1, "on_tracepoint"), program(2, "on_tracepoint"))));
  EXPECT_EQ(side(tracepoint(), "on_tracepoint"), 1);
}

TEST_F(TogetherTest, AShareIsCountedByGeneration) {
  load_both();
  ASSERT_TRUE(ok(attach(tracepoint(), "on_tracepoint")));
  ASSERT_TRUE(ok(stage(tracepoint(), "on_tracepoint")));
  const Ledger old_seen(map(1, "seen")), new_seen(map(2, "seen"));
  move({.share = 1u << 30, .watched = true});  // a quarter
  constexpr uint32_t kEvents = 20000;
  for (uint32_t n = 0; n < kEvents; ++n) call(n);
  move({});
  ASSERT_TRUE(ok(kernel_->grace_period()));  // another process's event may be between its two counters
  expect_exactly_once(old_seen, new_seen, kEvents);
  uint64_t by_new = 0;
  for (uint32_t n = 0; n < kEvents; ++n) by_new += new_seen.times(n);
  EXPECT_NEAR(static_cast<double>(by_new), kEvents / 4.0, kEvents * 0.03);  // nine standard deviations
  const auto sides = kernel_->side_stats(hook_dir("on_tracepoint"), program(1, "on_tracepoint"), program(2, "on_tracepoint"));
  ASSERT_TRUE(ok(sides));
  EXPECT_GE(sides->to.events, by_new);  // other processes call it, too
  EXPECT_GE(sides->from.events, kEvents - by_new);
  EXPECT_GT(sides->from.timed, 0u);
  EXPECT_GT(sides->from.run_ns, 0u);
  EXPECT_EQ(sides->from.verdicts.at(0), sides->from.events);
  EXPECT_EQ(sides->misses, 0u);
}

// One packet of flow n, in one of its directions.
std::vector<unsigned char> packet(uint32_t n, bool back, bool ipv6) {
  std::vector<unsigned char> out(90);
  const unsigned char head[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
  std::copy(std::begin(head), std::end(head), out.begin());
  const unsigned char ends[2][4] = {{10, 1, static_cast<unsigned char>(n >> 8), static_cast<unsigned char>(n)}, {10, 2, 0, 1}};
  const unsigned char ports[2][2] = {{static_cast<unsigned char>(4 + n % 7), 1}, {0, 53}};
  const size_t ip = 14, addresses = ip + (ipv6 ? 8 : 12), length = ipv6 ? 16 : 4, transport = ip + (ipv6 ? 40 : 20);
  out[12] = ipv6 ? 0x86 : 0x08, out[13] = ipv6 ? 0xdd : 0;
  out[ip] = ipv6 ? 0x60 : 0x45;
  out[ip + (ipv6 ? 6 : 9)] = 17;  // UDP
  out[ip + (ipv6 ? 5 : 3)] = static_cast<unsigned char>(out.size() - (ipv6 ? transport : ip));
  for (const int side : {0, 1}) {
    const int from = back ? 1 - side : side;
    std::copy(ends[from], ends[from] + 4, out.begin() + static_cast<long>(addresses + length * side + length - 4));
    std::copy(ports[from], ports[from] + 2, out.begin() + static_cast<long>(transport + 2 * side));
  }
  return out;
}

class FlowTest : public TogetherTest {
 protected:
  [[nodiscard]] uint64_t seen_by_new(const std::string& name) {
    const auto sides = kernel_->side_stats(hook_dir(name), program(1, name), program(2, name));
    EXPECT_TRUE(ok(sides));
    return sides ? sides->to.events : 0;
  }
  // How many of `times` runs went to the new generation.
  [[nodiscard]] uint64_t to_new(const std::string& name, std::vector<unsigned char> bytes, int times) {
    const uint64_t before = seen_by_new(name);
    const auto stub = Program::open(hook_dir(name) + "/stub");
    EXPECT_TRUE(ok(stub));
    if (!stub) return 0;
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = bytes.data(), .data_size_in = static_cast<uint32_t>(bytes.size()), .repeat = times);
    EXPECT_EQ(bpf_prog_test_run_opts(stub->fd(), &options), 0);
    return seen_by_new(name) - before;
  }
};

TEST_F(FlowTest, AFlowGoesOneWayAtEveryHookInBothDirections) {
  const bool has_tcx = needs_linux(6, 6, "tcx").empty();  // older kernels: XDP alone
  const PrivateNet net;
  MS_SKIP_FOR(net.problem());
  const Hook tcx{.type = "tcx", .interface = PrivateNet::kNear, .direction = "ingress", .together = word()};
  for (const int n : {1, 2}) {
    LoadRequest one = request(n);
    if (has_tcx) one.hooks = {{"on_tcx", tcx}};
    ASSERT_TRUE(ok(kernel_->load(one)));
  }
  ASSERT_TRUE(ok(attach(xdp(), "on_xdp")));
  ASSERT_TRUE(ok(stage(xdp(), "on_xdp")));
  if (has_tcx) {
    ASSERT_TRUE(ok(attach(tcx, "on_tcx")));
    ASSERT_TRUE(ok(stage(tcx, "on_tcx")));
  }
  std::set<uint32_t> went;
  for (const uint32_t share : {1u << 30, 1u << 31, 3u << 30}) {
    move({.share = share, .by_flow = true, .watched = true});
    std::set<uint32_t> go;
    for (uint32_t n = 0; n < 200; ++n) {
      const uint64_t first = to_new("on_xdp", packet(n, false, n % 2 == 0), 3);
      ASSERT_TRUE(first == 0 || first == 3) << first;
      EXPECT_EQ(to_new("on_xdp", packet(n, true, n % 2 == 0), 3), first) << n;
      if (has_tcx) {
        EXPECT_EQ(to_new("on_tcx", packet(n, n % 3 == 0, n % 2 == 0), 3), first) << n;
      }
      if (first != 0) go.insert(n);
    }
    EXPECT_NEAR(static_cast<double>(go.size()), 200.0 * share / 4294967296.0, 30);
    EXPECT_TRUE(std::includes(go.begin(), go.end(), went.begin(), went.end())) << "a growing share keeps the flows that it has";
    went = go;
  }
  EXPECT_EQ(to_new("on_xdp", std::vector<unsigned char>(60, 0x42), 10), 0u) << "what has no flow stays";
}

}  // namespace
}  // namespace mapshift::test
