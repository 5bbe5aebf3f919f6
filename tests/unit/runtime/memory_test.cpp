// SPDX-License-Identifier: Apache-2.0
#include "kernel/memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace mapshift {
namespace {

// A machine made of files.
class MemoryTest : public ::testing::Test {
 protected:
  MemoryTest() : root_(std::filesystem::temp_directory_path() / ("mapshift-memory-" + std::to_string(::getpid()))) {
    write("/proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    4000 kB\n");
  }
  ~MemoryTest() override { std::filesystem::remove_all(root_); }
  void write(const std::string& path, const std::string& content) {
    const std::filesystem::path file = root_.string() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << content;
  }
  std::filesystem::path root_;
};

TEST_F(MemoryTest, HostWithoutCgroups) { EXPECT_EQ(available_memory_below(root_.string()), 4000u * 1024); }

TEST_F(MemoryTest, NothingReadableIsNothing) { EXPECT_EQ(available_memory_below(root_.string() + "/nosuch"), 0u); }

TEST_F(MemoryTest, TightestLimitOfVersion2Wins) {
  write("/proc/self/cgroup", "0::/a/b\n");
  write("/proc/self/mountinfo", "30 1 0:26 / /cg rw,nosuid shared:4 - cgroup2 cgroup2 rw\n");
  write("/cg/a/b/memory.max", "max\n");
  write("/cg/a/b/memory.current", "100\n");
  write("/cg/a/memory.max", "1000\n");
  write("/cg/a/memory.current", "300\n");
  EXPECT_EQ(available_memory_below(root_.string()), 700u);
  write("/cg/a/memory.current", "1300\n");
  EXPECT_EQ(available_memory_below(root_.string()), 0u);
}

TEST_F(MemoryTest, Version1IsFoundByItsController) {
  write("/proc/self/cgroup", "5:cpu:/a\n4:memory:/a\n");
  write("/proc/self/mountinfo", "29 1 0:25 / /cpu rw - cgroup cgroup rw,cpu\n30 1 0:26 / /mem rw - cgroup cgroup rw,memory\n");
  write("/mem/a/memory.limit_in_bytes", "5000\n");
  write("/mem/a/memory.usage_in_bytes", "1000\n");
  write("/cpu/a/memory.limit_in_bytes", "1\n");
  EXPECT_EQ(available_memory_below(root_.string()), 4000u);
}

}  // namespace
}  // namespace mapshift
