// SPDX-License-Identifier: Apache-2.0
#include "observe/go/memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <numeric>

// The test reads itself: no privilege is needed for that.
namespace mapshift::observe::go {
namespace {

uint64_t address_of(const void* p) { return reinterpret_cast<uint64_t>(p); }

TEST(Memory, ReadsManyPiecesInOrder) {
  std::vector<uint64_t> there(3000), here(3000, 0);
  std::iota(there.begin(), there.end(), uint64_t{1});
  std::vector<Piece> pieces;
  for (size_t i = 0; i < there.size(); ++i) pieces.push_back({address_of(&there[i]), &here[i], 8});
  ASSERT_TRUE(Memory(getpid()).read(pieces));
  EXPECT_EQ(here, there);
}

TEST(Memory, NamesTheAddressThatIsNotMapped) {
  uint64_t there = 5, here = 0;
  const std::vector<Piece> pieces = {{address_of(&there), &here, 8}, {0x10, &here, 8}};
  const Status read = Memory(getpid()).read(pieces);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kInvalid);
  EXPECT_NE(read.error().message.find("0x10"), std::string::npos) << read.error().message;
}

TEST(Memory, FirstAddressNotMapped) {
  uint64_t here = 0;
  const Piece piece{0x10, &here, 8};
  const Status read = Memory(getpid()).read({&piece, 1});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kInvalid);
}

TEST(Memory, AProcessThatIsGoneIsNotFound) {
  uint64_t here = 0;
  const Piece piece{0x1000, &here, 8};
  const Status read = Memory(0x3fffffff).read({&piece, 1});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kNotFound);
}

TEST(Memory, ReadEachLeavesOutWhatIsNotMapped) {
  std::vector<uint64_t> there(2500);
  std::iota(there.begin(), there.end(), uint64_t{1});
  std::vector<uint64_t> addresses;
  for (const uint64_t& word : there) addresses.push_back(address_of(&word));
  for (const size_t bad : {0UL, 1UL, 700UL, 1023UL, 1024UL, 2499UL}) addresses[bad] = 0x10;
  std::vector<uint64_t> here(there.size(), 0);
  std::vector<bool> ok;
  ASSERT_TRUE(Memory(getpid()).read_each(addresses, 8, reinterpret_cast<std::byte*>(here.data()), ok));
  for (size_t i = 0; i < there.size(); ++i) {
    EXPECT_EQ(ok[i], addresses[i] != 0x10) << i;
    EXPECT_TRUE(!ok[i] || here[i] == there[i]) << i;
  }
}

TEST(Memory, AnElementThatReachesIntoNothingIsLeftOut) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  auto* pages = static_cast<std::byte*>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(pages, MAP_FAILED);
  ASSERT_EQ(munmap(pages + page, page), 0);
  const std::vector<uint64_t> addresses = {address_of(pages), address_of(pages + page - 8), address_of(pages)};
  std::vector<std::byte> here(3 * 16);
  std::vector<bool> ok;
  ASSERT_TRUE(Memory(getpid()).read_each(addresses, 16, here.data(), ok));
  EXPECT_EQ(ok, (std::vector<bool>{true, false, true}));
  munmap(pages, page);
}

TEST(Memory, NothingToRead) {
  std::vector<bool> ok{true};
  EXPECT_TRUE(Memory(getpid()).read({}));
  EXPECT_TRUE(Memory(getpid()).read_each({}, 8, nullptr, ok));
  EXPECT_TRUE(ok.empty());
}

}  // namespace
}  // namespace mapshift::observe::go
