// SPDX-License-Identifier: Apache-2.0
#include "observe/go/procfs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "observe/go/discovery.h"

namespace mapshift::observe::go {
namespace {

TEST(Procfs, TellsOfThisProcess) {
  const int self = getpid();
  EXPECT_TRUE(start_ticks(self));
  EXPECT_TRUE(executable_path(self)->ends_with("unit_go_process"));
  EXPECT_EQ(*file_key(executable_link(self)), *file_key("/proc/self/exe"));
  EXPECT_TRUE(cgroup_of(self).starts_with('/'));
  EXPECT_FALSE(first_argument(self).empty());
  const auto pids = all_pids();
  EXPECT_NE(std::ranges::find(pids, self), pids.end());
}

TEST(Procfs, ImageIsTheSameUntilTheNextExec) {
  const auto first = image_of(getpid()), second = image_of(getpid());
  ASSERT_TRUE(first);
  EXPECT_EQ(*first, *second);
  const auto file = open_file("/proc/self/exe");
  ASSERT_TRUE(file);
  const auto bias = load_bias(*first, file->get());
  ASSERT_TRUE(bias) << bias.error().message;
  EXPECT_EQ(*bias % 4096, 0U);
}

TEST(Procfs, WhatIsGoneIsNotFound) {
  constexpr int kNobody = 0x3fffffff;
  EXPECT_EQ(start_ticks(kNobody).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(executable_path(kNobody).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(image_of(kNobody).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(open_pidfd(kNobody));
  EXPECT_EQ(cgroup_of(kNobody), "/");
  EXPECT_EQ(first_argument(kNobody), "");
}

TEST(Procfs, PidfdTellsTheEnd) {
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  const auto pidfd = open_pidfd(child);
  ASSERT_TRUE(pidfd);
  EXPECT_FALSE(has_ended(*pidfd));
  kill(child, SIGKILL);
  siginfo_t info{};
  waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  EXPECT_TRUE(has_ended(*pidfd));
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(has_ended(*pidfd));
}

TEST(Procfs, AnotherFileOfTheSameSizeAndTimeIsAnotherFile) {
  const std::string path = testing::TempDir() + "key." + std::to_string(getpid());
  const timespec constant[2] = {{1, 0}, {1, 0}};
  const auto write = [&](const char* text) {
    std::ofstream(path, std::ios::trunc) << text;
    utimensat(AT_FDCWD, path.c_str(), constant, 0);
  };
  write("one");
  const auto first = file_key(path);
  usleep(20'000);  // the kernel's clock for files advances every 10 ms at the slowest
  write("two");
  const auto second = file_key(path);
  unlink(path.c_str());
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->inode, second->inode);
  EXPECT_EQ(first->modified_ns, second->modified_ns);
  EXPECT_NE(*first, *second);
}

TEST(Procfs, BiasOfNoElfFileIsRefused) {
  const auto file = open_file("/proc/self/stat");
  ASSERT_TRUE(file);
  EXPECT_EQ(load_bias(Image{4096, 0}, file->get()).error().code, ErrorCode::kInvalid);
}

TEST(Procfs, ThisTestIsNoGoProgram) {
  Executables executables;
  const auto found = identify(getpid(), executables, {{}});
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->has_value());
}

TEST(Wanted, EveryMemberOfAFilterFits) {
  const std::vector<Filter> filters = {{"/usr/*", "/web*"}, {"*/db", "*"}};
  EXPECT_TRUE(wanted(filters, "/usr/local/bin/a", "/web.slice/x"));
  EXPECT_FALSE(wanted(filters, "/usr/local/bin/a", "/other"));
  EXPECT_TRUE(wanted(filters, "/opt/db", "/other"));
  EXPECT_FALSE(wanted({}, "/opt/db", "/"));
}

}  // namespace
}  // namespace mapshift::observe::go
