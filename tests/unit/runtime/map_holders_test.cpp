// SPDX-License-Identifier: Apache-2.0
#include "kernel/map_holders.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace mapshift {
namespace {

namespace fs = std::filesystem;

// A /proc of our own.
class MapHoldersTest : public ::testing::Test {
 protected:
  MapHoldersTest() {
    std::string pattern = ::testing::TempDir() + "mapshift-proc-XXXXXX";
    proc_ = ::mkdtemp(pattern.data());
  }
  ~MapHoldersTest() override {
    std::error_code ignored;
    fs::remove_all(proc_, ignored);
  }
  void process(int pid, const std::string& comm) {
    const fs::path folder = proc_ / std::to_string(pid);
    fs::create_directories(folder / "fd");
    fs::create_directories(folder / "fdinfo");
    std::ofstream(folder / "comm") << comm << "\n";
  }
  void descriptor(int pid, int fd, const std::string& target, const std::string& info) {
    const fs::path folder = proc_ / std::to_string(pid);
    fs::create_symlink(target, folder / "fd" / std::to_string(fd));
    std::ofstream(folder / "fdinfo" / std::to_string(fd)) << info;
  }
  fs::path proc_;
};

constexpr const char* kMapInfo = "pos:\t0\nflags:\t02000002\nmap_type:\t1\nmap_id:\t17\nfrozen:\t0\n";

TEST_F(MapHoldersTest, FindsWhoHoldsWhat) {
  const int reader = ::getpid() + 1, other = ::getpid() + 2;
  process(reader, "rea\033der");
  descriptor(reader, 3, "anon_inode:bpf-map", kMapInfo);
  descriptor(reader, 4, "anon_inode:bpf-map", kMapInfo);  // twice: one holder
  descriptor(reader, 5, "anon_inode:bpf-map", "map_id:\t18\n");
  process(other, "other");
  descriptor(other, 0, "/dev/null", kMapInfo);            // no map, whatever it says
  descriptor(other, 1, "anon_inode:bpf-prog", "prog_id:\t17\n");
  descriptor(other, 2, "anon_inode:bpf-map", "map_id:\t99\n");
  process(static_cast<int>(::getpid()), "me");
  descriptor(static_cast<int>(::getpid()), 3, "anon_inode:bpf-map", kMapInfo);
  fs::create_directories(proc_ / "self");
  const auto found = map_holders({17, 18}, proc_);
  EXPECT_TRUE(found.complete);
  ASSERT_EQ(found.by_map.size(), 2u);
  ASSERT_EQ(found.by_map.at(17).size(), 1u);
  EXPECT_EQ(found.by_map.at(17)[0].pid, reader);
  EXPECT_EQ(found.by_map.at(17)[0].comm, "rea?der");
  EXPECT_EQ(found.by_map.at(18).size(), 1u);
}

TEST_F(MapHoldersTest, OddFilesAreNoHolders) {
  process(1, "");
  for (const char* info : {"", "map_id:", "map_id:\tx", "xmap_id:\t17\n", "map_id:\t99999999999999999999\n"})
    descriptor(1, static_cast<int>(std::string(info).size()), "anon_inode:bpf-map", info);
  process(2, std::string(5000, 'x'));
  descriptor(2, 0, "anon_inode:bpf-map", std::string(5000, 'y') + "\nmap_id:\t17\n");  // longer than any such file
  EXPECT_TRUE(map_holders({17}, proc_).by_map.empty());
  EXPECT_TRUE(map_holders({}, proc_).by_map.empty());
  EXPECT_FALSE(map_holders({17}, proc_ / "nothing").complete);
}

}  // namespace
}  // namespace mapshift
