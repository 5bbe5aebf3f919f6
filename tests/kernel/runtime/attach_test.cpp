// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <set>

#include "kernel/attach/type.h"
#include "ledger.h"

namespace mapshift::test {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

const Hook kTracepoint{.type = "tracepoint", .category = "syscalls", .name = "sys_enter_getpgid"};

class AttachTest : public RuntimeTest {};

TEST_F(AttachTest, TableIsWellFormed) {
  std::set<std::string_view> names;
  for (const auto& type : attach_types()) {
    EXPECT_TRUE(names.insert(type.name).second) << type.name;
    EXPECT_FALSE(type.help.empty());
    EXPECT_EQ(kernel_->swap_mode({.type = std::string(type.name)}).value(), type.swap);
  }
}

TEST_F(AttachTest, UnservedTypeIsRefusedByName) {
  const auto status = kernel_->check_hook({.type = "netfilter"});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(status.error().message, HasSubstr("netfilter"));
  EXPECT_THAT(status.error().message, HasSubstr("xdp, tcx, cgroup, tracepoint, raw_tracepoint"));
  EXPECT_THAT(status.error().message, HasSubstr("tc, netkit, sk_lookup, flow_dissector"));
}

TEST_F(AttachTest, MissingTargetsAreNamed) {
  const std::pair<Hook, std::string> cases[] = {
      {{.type = "xdp", .interface = "nosuch0"}, "nosuch0"},
      {{.type = "xdp", .interface = "lo", .mode = "fast"}, "fast"},
      {{.type = "tcx", .interface = "nosuch0", .direction = "ingress"}, "nosuch0"},
      {{.type = "tcx", .interface = "lo", .direction = "up"}, "up"},
      {{.type = "cgroup", .path = "/nosuch", .hook = "skb_egress"}, "/nosuch"},
      {{.type = "cgroup", .path = "/tmp", .hook = "skb_egress"}, "/tmp"},
      {{.type = "cgroup", .path = "/tmp", .hook = "sock_invent"}, "sock_invent"},
      {{.type = "tracepoint", .category = "sched", .name = "nosuch"}, "sched/nosuch"},
      {{.type = "tracepoint", .category = "..", .name = "nosuch"}, "category"},
      {{.type = "raw_tracepoint", .name = "nosuch"}, "nosuch"},
  };
  for (const auto& [hook, named] : cases) {
    const auto status = kernel_->check_hook(hook);
    ASSERT_FALSE(status) << named;
    EXPECT_THAT(status.error().message, HasSubstr(named));
  }
}

TEST_F(AttachTest, PresentTargetsPass) {
  for (const Hook& hook : {Hook{.type = "xdp", .interface = "lo", .mode = "auto"}, Hook{.type = "tcx", .interface = "lo",
      .direction = "egress"},
                           kTracepoint, Hook{.type = "raw_tracepoint", .name = "sys_enter"}}) {
    if (hook.type == "tcx" && !needs_linux(6, 6, "tcx").empty()) continue;
    EXPECT_TRUE(ok(kernel_->check_hook(hook))) << hook.type;
  }
}

TEST_F(AttachTest, PinsLinkAndDispatcherThenCleansUp) {
  ASSERT_TRUE(ok(kernel_->load(request(1))));
  ASSERT_TRUE(ok(attach(kTracepoint, "on_tracepoint")));
  EXPECT_THAT(*kernel_->list(hook_dir("on_tracepoint")), UnorderedElementsAre("course", "link", "misses", "sides", "slots", "stub", "word"));
  const auto again = attach(kTracepoint, "on_tracepoint");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kConflict);
  ASSERT_TRUE(ok(kernel_->detach(hook_dir("on_tracepoint"))));
  EXPECT_TRUE(ok(kernel_->detach(hook_dir("on_tracepoint"))));  // nothing there
  EXPECT_THAT(*kernel_->list(hook_dir("on_tracepoint")), ::testing::IsEmpty());
}

TEST_F(AttachTest, AutoFallsBackToGenericXdp) {
  const PrivateNet net;
  MS_SKIP_FOR(net.problem());
  ASSERT_TRUE(ok(kernel_->load(request(1))));
  ASSERT_FALSE(kernel_->attach({.type = "xdp", .interface = "lo", .mode = "native"}, hook_dir("on_xdp"), program(1, "on_xdp")));
  EXPECT_TRUE(ok(attach({.type = "xdp", .interface = "lo", .mode = "auto"}, "on_xdp")));
}

TEST_F(AttachTest, OccupiedXdpIsAConflict) {
  const PrivateNet net;
  MS_SKIP_FOR(net.problem());
  const Hook hook{.type = "xdp", .interface = PrivateNet::kNear, .mode = "auto"};
  ASSERT_TRUE(ok(kernel_->load(request(1))));
  ASSERT_TRUE(ok(attach(hook, "on_xdp")));
  const auto second = kernel_->attach(hook, hook_dir("other"), program(1, "tail"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kConflict);
  EXPECT_THAT(*kernel_->list(hook_dir("other")), ::testing::IsEmpty());
}

TEST_F(AttachTest, ProgramOfAnotherTypeIsRefused) {
  ASSERT_TRUE(ok(kernel_->load(request(1))));
  const auto listing = fs_->listing();
  const auto status = kernel_->attach(kTracepoint, hook_dir("x"), program(1, "on_xdp"));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kRefused);
  EXPECT_EQ(fs_->listing(), listing);
}

// Somebody else changed the hook since: nothing is replaced, by either way of swapping.
TEST_F(AttachTest, SwapComparesFirst) {
  const PrivateNet net;
  MS_SKIP_FOR(net.problem());
  for (const int n : {1, 2, 3}) ASSERT_TRUE(ok(kernel_->load(request(n))));
  const std::pair<Hook, std::string> cases[] = {{{.type = "xdp", .interface = PrivateNet::kNear}, "on_xdp"}, {kTracepoint,
      "on_tracepoint"}};
  for (const auto& [hook, name] : cases) {
    ASSERT_TRUE(ok(attach(hook, name)));
    ASSERT_TRUE(ok(kernel_->swap(hook, hook_dir(name), program(1, name), program(3, name))));
    const auto swapped = kernel_->swap(hook, hook_dir(name), program(1, name), program(2, name));
    ASSERT_FALSE(swapped);
    EXPECT_EQ(swapped.error().code, ErrorCode::kConflict) << swapped.error().message;
    EXPECT_EQ(kernel_->running(hook, hook_dir(name), program(1, name), program(3, name)).value(), 1);
    const auto neither = kernel_->running(hook, hook_dir(name), program(1, name), program(2, name));
    ASSERT_FALSE(neither);
    EXPECT_EQ(neither.error().code, ErrorCode::kConflict);
  }
}

TEST_F(AttachTest, VanishedInterfaceIsAConflict) {
  const PrivateNet net;
  MS_SKIP_FOR(net.problem());
  const Hook hook{.type = "xdp", .interface = PrivateNet::kNear};
  for (const int n : {1, 2}) ASSERT_TRUE(ok(kernel_->load(request(n))));
  ASSERT_TRUE(ok(attach(hook, "on_xdp")));
  ASSERT_EQ(std::system("ip link del ms0"), 0);
  const auto running = kernel_->running(hook, hook_dir("on_xdp"), program(1, "on_xdp"), program(2, "on_xdp"));
  ASSERT_FALSE(running);
  EXPECT_EQ(running.error().code, ErrorCode::kConflict);
  const auto swapped = kernel_->swap(hook, hook_dir("on_xdp"), program(1, "on_xdp"), program(2, "on_xdp"));
  ASSERT_FALSE(swapped);
  EXPECT_EQ(swapped.error().code, ErrorCode::kConflict);
  EXPECT_TRUE(ok(kernel_->detach(hook_dir("on_xdp"))));
}

// The idle slot must not keep a dropped generation's programs and maps alive, nor its removal touch the active slot.
TEST_F(AttachTest, RemovedGenerationLeavesTheDispatcher) {
  ASSERT_TRUE(ok(kernel_->load(request(2))));
  ASSERT_TRUE(ok(kernel_->attach(kTracepoint, hook_dir("on_tracepoint"), program(2, "on_tracepoint"))));
  const KernelIds before = KernelIds::now();
  ASSERT_TRUE(ok(kernel_->load(request(1))));
  ASSERT_TRUE(ok(kernel_->swap(kTracepoint, hook_dir("on_tracepoint"), program(2, "on_tracepoint"), program(1,
      "on_tracepoint"))));
  ASSERT_TRUE(ok(kernel_->swap(kTracepoint, hook_dir("on_tracepoint"), program(1, "on_tracepoint"), program(2,
      "on_tracepoint"))));
  ASSERT_TRUE(ok(kernel_->grace_period()));
  ASSERT_TRUE(ok(kernel_->remove_tree(generation(1))));
  EXPECT_EQ(left_over_since(before), "");
  EXPECT_EQ(kernel_->running(kTracepoint, hook_dir("on_tracepoint"), program(2, "on_tracepoint"), program(1,
      "on_tracepoint")).value(), 0);
}

}  // namespace
}  // namespace mapshift::test
