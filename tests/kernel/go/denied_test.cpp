// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "go_target.h"
#include "kernel_test.h"

// An agent with less privilege: a child of the test, before it has any thread.
namespace mapshift::observe::go::test {
namespace {

class GoDenied : public mapshift::test::KernelTest {};

bool give_up_ptrace() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  data[0].effective &= ~(1U << CAP_SYS_PTRACE);
  data[0].permitted &= ~(1U << CAP_SYS_PTRACE);
  return syscall(SYS_capset, &header, data) == 0;
}

bool become_nobody() { return setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0; }

// 0: denied with a reason and nothing read, and found as it should be.
int see_denied(const std::string& program, int pid) {
  const auto capture = capture_of(program);
  const auto report = report_on(*capture, pid);
  std::fprintf(stderr, "%s: %s\n", std::string(to_string(report.state)).c_str(), report.reason.c_str());
  if (report.state != State::kDenied || report.reason.empty() || report.goroutines || report.go_version.empty()) return 1;
  return capture->census(pid) ? 0 : 2;
}

template <class Lessen>
int as_lesser(Lessen lessen, const std::string& program, int pid) {
  const pid_t child = fork();
  if (child == 0) _exit(lessen() ? see_denied(program, pid) : 3);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

TEST_F(GoDenied, WithoutTheCapability) {
  const Copy program(newest(), "app");
  GoTarget target(program.path());
  target.ask("gc 1");
  EXPECT_EQ(as_lesser(give_up_ptrace, program.path(), target.pid()), 0);
}

TEST_F(GoDenied, AsAnotherUser) {
  const Copy program(newest(), "app");
  std::filesystem::permissions(std::filesystem::path(program.path()).parent_path(), std::filesystem::perms(0755));
  GoTarget target(program.path());
  target.ask("gc 1");
  EXPECT_EQ(as_lesser(become_nobody, program.path(), target.pid()), 0);
}

}  // namespace
}  // namespace mapshift::observe::go::test
