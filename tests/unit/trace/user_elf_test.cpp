// SPDX-License-Identifier: Apache-2.0
#include "kernel/user_elf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

namespace mapshift {

// What the tests below look for in this executable itself.
extern "C" __attribute__((noinline, used)) int ms_here_to_be_found(int number) {
  __asm__ volatile("" : "+r"(number));
  return number;
}

namespace {

using ::testing::HasSubstr;

std::vector<char> own_bytes() {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class UserElfTest : public ::testing::Test {
 protected:
  ~UserElfTest() override {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  const std::string& write(const std::vector<char>& bytes) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path_;
  }
  const std::string path_ = std::filesystem::temp_directory_path() / ("mapshift-elf-" + std::to_string(::getpid()));
};

TEST_F(UserElfTest, FindsAFunctionAndItsPlace) {
  const auto elf = UserElf::open("/proc/self/exe");
  ASSERT_TRUE(elf) << elf.error().message;
  const auto place = elf->function_offset("ms_here_to_be_found");
  ASSERT_TRUE(place) << place.error().message;
  EXPECT_TRUE(elf->holds_code(*place));
  EXPECT_FALSE(elf->holds_code(0));
  EXPECT_FALSE(elf->is_go());
  const auto bytes = own_bytes();
  ASSERT_LT(*place + 8, bytes.size());
  EXPECT_EQ(std::memcmp(bytes.data() + *place, reinterpret_cast<const void*>(&ms_here_to_be_found), 8), 0);
}

TEST_F(UserElfTest, WhatIsNoProgramIsSaid) {
  EXPECT_THAT(UserElf::open("/nonexistent").error().message, HasSubstr("/nonexistent"));
  EXPECT_THAT(UserElf::open("/dev/null").error().message, HasSubstr("regular file"));
  EXPECT_THAT(UserElf::open(write({})).error().message, HasSubstr("ELF"));
  std::string script = "#!/bin/sh\n" + std::string(100, ' ');
  EXPECT_THAT(UserElf::open(write({script.begin(), script.end()})).error().message, HasSubstr("interpreter"));
}

TEST_F(UserElfTest, GoIsKnownByItsNotes) {
  std::vector<char> bytes = own_bytes();
  const std::string before = ".note.ABI-tag", go = ".go.buildinfo";
  const auto name = std::find_end(bytes.begin(), bytes.end(), before.begin(), before.end());  // sections' names come last
  ASSERT_NE(name, bytes.end());
  std::copy(go.begin(), go.end(), name);
  const auto elf = UserElf::open(write(bytes));
  ASSERT_TRUE(elf);
  EXPECT_TRUE(elf->is_go());
}

// Neither crash nor hang, whatever the file says: its beginning and its tables damaged at random, and cut off.
TEST_F(UserElfTest, DamagedFilesAreReadOrRefused) {
  const std::vector<char> whole = own_bytes();
  Elf64_Ehdr header;
  std::memcpy(&header, whole.data(), sizeof(header));
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<char> bytes = whole;
    const size_t tables[] = {0, header.e_phoff, header.e_shoff};
    for (int i = 0; i < 4; ++i) {
      const size_t at = tables[random() % 3] + random() % 512;
      if (at < bytes.size()) bytes[at] = static_cast<char>(random());
    }
    if (round % 8 == 0) bytes.resize(random() % bytes.size());
    const auto elf = UserElf::open(write(bytes));
    if (!elf) continue;
    (void)elf->function_offset("ms_here_to_be_found");
    (void)elf->usdt("a", "b");
  }
}

TEST(Pattern, MatchesStarsAndQuestionMarks) {
  EXPECT_TRUE(matches_pattern("tcp_*", "tcp_sendmsg"));
  EXPECT_TRUE(matches_pattern("*_send*", "tcp_sendmsg"));
  EXPECT_TRUE(matches_pattern("tcp_?endmsg", "tcp_sendmsg"));
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_FALSE(matches_pattern("tcp_*", "udp_sendmsg"));
  EXPECT_FALSE(matches_pattern("tcp", "tcp_sendmsg"));
  EXPECT_FALSE(matches_pattern("?", ""));
  EXPECT_FALSE(matches_pattern(std::string(40, '*') + "b", std::string(4000, 'a')));
}

}  // namespace
}  // namespace mapshift
