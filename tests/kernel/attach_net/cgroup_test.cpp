// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "private_cgroup.h"
#include "tiny.h"

namespace mapshift::test {
namespace {

class CgroupHooksTest : public TinyTest {
 protected:
  void SetUp() override {
    TinyTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    ASSERT_NE(cgroup_.path(), "");
  }
  [[nodiscard]] Hook hook(const std::string& name) const { return {.type = "cgroup", .path = cgroup_.path(), .hook = name}; }

  const PrivateCgroup cgroup_;
};

TEST_F(CgroupHooksTest, EachIsSwappedByItsLink) {
  const bool unix_hooks = needs_linux(6, 7, "").empty();
  for (const std::string& name : cgroup_hooks()) {
    if (!unix_hooks && name.ends_with("_unix")) continue;
    SCOPED_TRACE(name);
    swap_there_and_back(hook(name));
    if (HasFatalFailure()) return;
  }
}

TEST_F(CgroupHooksTest, EachMovesWithOthersByTheirWord) {
  for (const std::string name : {"skb_ingress", "sock_ops", "device", "sysctl", "setsockopt", "sock_create"}) {
    SCOPED_TRACE(name);
    Hook together = hook(name);
    together.together = module() + "/together";
    for (const int n : {1, 2}) ASSERT_TRUE(ok(pin_tiny(n, together)));
    ASSERT_TRUE(ok(kernel_->attach(together, hook_dir("tiny"), tiny(1))));
    ASSERT_TRUE(ok(kernel_->stage(together, hook_dir("tiny"), tiny(1), tiny(2))));
    const auto now = kernel_->course(together.together);
    ASSERT_TRUE(ok(now));
    Course next = *now;
    next.odd = !next.odd;
    ASSERT_TRUE(ok(kernel_->set_course(together.together, *now, next)));
    EXPECT_EQ(kernel_->running(together, hook_dir("tiny"), tiny(1), tiny(2)).value(), 1);
    ASSERT_TRUE(ok(kernel_->detach(hook_dir("tiny"))));
    for (const int n : {1, 2}) ASSERT_TRUE(ok(kernel_->remove_tree(generation(n))));
  }
}

bool may_connect() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(9);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
}

TEST_F(CgroupHooksTest, TheSwappedProgramDecides) {
  const Hook connect = hook("connect4");
  ASSERT_TRUE(ok(pin_tiny(1, connect, 1)));
  ASSERT_TRUE(ok(pin_tiny(2, connect, 0)));  // refuses
  ASSERT_TRUE(ok(kernel_->attach(connect, hook_dir("tiny"), tiny(1))));
  EXPECT_TRUE(may_connect());
  ASSERT_TRUE(ok(kernel_->swap(connect, hook_dir("tiny"), tiny(1), tiny(2))));
  EXPECT_FALSE(may_connect());
  ASSERT_TRUE(ok(kernel_->swap(connect, hook_dir("tiny"), tiny(2), tiny(1))));
  EXPECT_TRUE(may_connect());
}

TEST_F(CgroupHooksTest, ProgramForAnotherHookIsRefused) {
  ASSERT_TRUE(ok(pin_tiny(1, hook("sysctl"))));
  const Status attached = kernel_->attach(hook("device"), hook_dir("tiny"), tiny(1));
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code, ErrorCode::kRefused);
}

TEST_F(CgroupHooksTest, UnknownHookIsRefusedByName) {
  const Status checked = kernel_->check_hook(hook("connect7"));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(checked.error().message, ::testing::AllOf(::testing::HasSubstr("connect7"), ::testing::HasSubstr("setsockopt")));
}

}  // namespace
}  // namespace mapshift::test
