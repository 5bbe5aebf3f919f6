// SPDX-License-Identifier: Apache-2.0
// Hooks of a network namespace, and netkit where the kernel has it.
#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "tiny.h"

namespace mapshift::test {
namespace {

class NamespaceTest : public TinyTest {};

TEST_F(NamespaceTest, SocketLookupAndFlowDissectorAreSwapped) {
  const PrivateNet net;
  MS_SKIP_FOR(net.problem());
  for (const char* type : {"sk_lookup", "flow_dissector"}) {
    SCOPED_TRACE(type);
    swap_there_and_back({.type = type});
    swap_there_and_back({.type = type, .path = "/proc/thread-self/ns/net"});
  }
}

// The program says who gets a datagram: 0 drops the packet, so what arrives tells which program ran.
TEST_F(NamespaceTest, TheSwappedProgramDecides) {
  const PrivateNet net;
  MS_SKIP_FOR(net.problem());
  const Hook hook{.type = "sk_lookup"};
  ASSERT_TRUE(ok(pin_tiny(1, hook, 1)));
  ASSERT_TRUE(ok(pin_tiny(2, hook, 0)));
  const auto arrives = [] {
    const Fd to(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), from(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof at;
    auto* address = reinterpret_cast<sockaddr*>(&at);
    // The receiver is not connected: sockets that are come before the program.
    if (::bind(to.get(), address, length) != 0 || ::getsockname(to.get(), address, &length) != 0) return false;
    if (::connect(from.get(), address, length) != 0) return false;
    const uint32_t number = 7;
    if (::write(from.get(), &number, sizeof number) != sizeof number) return false;
    pollfd either[] = {{to.get(), POLLIN, 0}, {from.get(), 0, 0}};  // who is refused has an error
    return ::poll(either, 2, 5000) > 0 && (either[0].revents & POLLIN) != 0;
  };
  ASSERT_TRUE(ok(kernel_->attach(hook, hook_dir("tiny"), tiny(1))));
  EXPECT_TRUE(arrives());
  ASSERT_TRUE(ok(kernel_->swap(hook, hook_dir("tiny"), tiny(1), tiny(2))));
  EXPECT_EQ(kernel_->running(hook, hook_dir("tiny"), tiny(1), tiny(2)).value(), 1);
  EXPECT_FALSE(arrives());
}

TEST_F(NamespaceTest, SecondFlowDissectorIsAConflict) {
  const PrivateNet net;
  MS_SKIP_FOR(net.problem());
  const Hook hook{.type = "flow_dissector"};
  ASSERT_TRUE(ok(pin_tiny(1, hook)));
  ASSERT_TRUE(ok(kernel_->attach(hook, hook_dir("tiny"), tiny(1))));
  const Status second = kernel_->attach(hook, hook_dir("second"), tiny(1));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kConflict);
}

TEST_F(NamespaceTest, VanishedNamespaceIsAConflict) {
  const Hook hook{.type = "sk_lookup"};
  for (const int n : {1, 2}) ASSERT_TRUE(ok(pin_tiny(n, hook)));
  std::thread([&] {  // the namespace is this thread's alone
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    ASSERT_TRUE(ok(kernel_->attach(hook, hook_dir("tiny"), tiny(1))));
  }).join();
  const auto gone = [&] {
    const auto running = kernel_->running(hook, hook_dir("tiny"), tiny(1), tiny(2));
    return !running && running.error().code == ErrorCode::kConflict;
  };
  EXPECT_TRUE(eventually(gone));
  EXPECT_FALSE(kernel_->swap(hook, hook_dir("tiny"), tiny(1), tiny(2)));
}

TEST_F(NamespaceTest, WhatIsNoNamespaceIsRefused) {
  for (const char* path : {"/nosuch", "/tmp"}) {
    const Status checked = kernel_->check_hook({.type = "sk_lookup", .path = path});
    ASSERT_FALSE(checked);
    EXPECT_THAT(checked.error().message, ::testing::HasSubstr(path));
  }
}

TEST_F(NamespaceTest, NetkitIsSwappedOrRefusedByName) {
  const PrivateNet net;
  MS_SKIP_FOR(net.problem());
  const Hook on_veth{.type = "netkit", .interface = PrivateNet::kNear, .direction = "primary"};
  const Status checked = kernel_->check_hook(on_veth);
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().message, ::testing::HasSubstr("netkit"));
  if (checked.error().code == ErrorCode::kUnsupported) GTEST_SKIP() << checked.error().message;
  ASSERT_EQ(std::system("ip link add nk0 type netkit"), 0);
  for (const char* direction : {"primary", "peer"}) {
    swap_there_and_back({.type = "netkit", .interface = "nk0", .direction = direction});
  }
}

}  // namespace
}  // namespace mapshift::test
