// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
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

// 0: captured without any privilege, and it is said what is missing.
int see_own(const std::string& program, int) {
  GoTarget target(program);
  target.ask("gc 2");
  const auto capture = capture_of(program);
  const auto report = report_on(*capture, target.pid());
  for (const std::string& note : report.notes) std::fprintf(stderr, "%s\n", note.c_str());
  if (report.state != State::kCaptured || report.gc_cycles != 2U) return 1;
  if (std::ranges::none_of(report.notes, [](const auto& note) { return note.starts_with("new processes are found"); })) return 2;
  if (getenv("MAPSHIFT_TEST_SLOW") == nullptr) return 0;
  GoTarget later(program);
  const auto found = [&] { return capture->reports(Nanos{0}).size() == 2; };
  return mapshift::test::eventually(found, std::chrono::seconds(12)) ? 0 : 4;
}

template <class Lessen>
int as_lesser(Lessen lessen, const std::string& program, int pid, int (*see)(const std::string&, int) = see_denied) {
  const pid_t child = fork();
  if (child == 0) _exit(lessen() ? see(program, pid) : 3);
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

// With MAPSHIFT_TEST_SLOW set it waits for the look at all processes too, which comes every 10 s then.
TEST_F(GoDenied, WithoutPrivilegeItsOwnProcessesAreCaptured) {
  const Copy program(newest(), "app");
  std::filesystem::permissions(std::filesystem::path(program.path()).parent_path(), std::filesystem::perms(0755));
  EXPECT_EQ(as_lesser(become_nobody, program.path(), 0, see_own), 0);
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
