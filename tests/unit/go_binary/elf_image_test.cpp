// SPDX-License-Identifier: Apache-2.0
#include "observe/go/elf_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "elf_builder.h"
#include "memory_file.h"
#include "observe/go/pclntab.h"

namespace mapshift::observe::go {
namespace {

using test::ElfBuilder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<uint8_t> compressed(const std::vector<uint8_t>& bytes, uint64_t claimed) {
  uLongf size = ::compressBound(bytes.size());
  std::vector<uint8_t> packed(size);
  ::compress(packed.data(), &size, bytes.data(), bytes.size());
  packed.resize(size);
  test::ByteWriter out;
  out.number<uint32_t>(ELFCOMPRESS_ZLIB).number<uint32_t>(0).number<uint64_t>(claimed).number<uint64_t>(1);
  out.bytes.insert(out.bytes.end(), packed.begin(), packed.end());
  return out.bytes;
}

TEST(ElfImage, ReadsSectionsAndAddresses) {
  const auto fd = test::memory_file(ElfBuilder()
                                        .add({".text", {1, 2, 3, 4}, 0x401000, SHT_PROGBITS, SHF_ALLOC, PF_R | PF_X})
                                        .add({".data", {5, 6, 7, 8, 9, 10, 11, 12}, 0x402000, SHT_PROGBITS, SHF_ALLOC, PF_R | PF_W})
                                        .build());
  auto image = ElfImage::open(fd.get());
  ASSERT_TRUE(image) << image.error().message;
  ASSERT_NE(image->section(".text"), nullptr);
  EXPECT_EQ(image->section(".none"), nullptr);
  EXPECT_THAT(*image->contents(*image->section(".text"), 10), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(image->contents(*image->section(".text"), 3).error().code, ErrorCode::kTooLarge);
  EXPECT_THAT(*image->read(0x401001, 2), ElementsAre(2, 3));
  EXPECT_FALSE(image->read(0x401003, 2));
  EXPECT_FALSE(image->read(~uint64_t{0}, 2));
  EXPECT_EQ(image->file_offset(0x402001), image->section(".data")->offset + 1);
  EXPECT_EQ(image->file_offset(0x402008), std::nullopt);
  EXPECT_TRUE(image->segment(0x402000, 8)->writable);
  EXPECT_EQ(image->segment(0x402000, 9), nullptr);
  EXPECT_EQ(image->pointer(0x402000), 0x0c0b0a0908070605U);
}

TEST(ElfImage, AppliesRelocationsOfPositionIndependentPrograms) {
  test::ByteWriter rela;
  rela.number<uint64_t>(0x2000).number<uint64_t>(R_X86_64_RELATIVE).number<uint64_t>(0x1234);
  rela.number<uint64_t>(0x2008).number<uint64_t>(R_X86_64_64).number<uint64_t>(0x77);
  ElfBuilder builder;
  builder.type = ET_DYN;
  const auto fd = test::memory_file(
      builder.add({".data", std::vector<uint8_t>(24), 0x2000}).add({".rela.dyn", rela.bytes, 0x3000, SHT_RELA, SHF_ALLOC}).build());
  auto image = ElfImage::open(fd.get());
  ASSERT_TRUE(image);
  EXPECT_TRUE(image->pie());
  EXPECT_EQ(image->pointer(0x2000), 0x1234U);
  EXPECT_EQ(image->pointer(0x2008), 0U);
  EXPECT_EQ(image->pointer(0x9000), std::nullopt);
  EXPECT_THAT(image->pointers_to(0x1234), ElementsAre(0x2000));
}

TEST(ElfImage, InflatesWithinLimits) {
  const std::vector<uint8_t> plain(1000, 'x');
  const auto read = [&](std::vector<uint8_t> bytes, uint64_t limit) {
    const auto fd = test::memory_file(ElfBuilder().add({".debug", std::move(bytes), 0, SHT_PROGBITS, SHF_COMPRESSED}).build());
    auto image = ElfImage::open(fd.get());
    return image->contents(*image->section(".debug"), limit);
  };
  EXPECT_EQ(*read(compressed(plain, 1000), 1000), plain);
  EXPECT_EQ(read(compressed(plain, 1000), 999).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(read(compressed(plain, uint64_t{1} << 60), uint64_t{1} << 62).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(read(compressed(plain, 999), 2000).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(read(compressed(plain, 1001), 2000).error().code, ErrorCode::kInvalid);
  auto cut = compressed(plain, 1000);
  cut.resize(cut.size() - 6);
  EXPECT_EQ(read(cut, 2000).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(read({1, 2, 3}, 2000).error().code, ErrorCode::kInvalid);
}

TEST(ElfImage, SaysWhatAFileIsNot) {
  const auto why = [](std::vector<uint8_t> bytes) {
    const auto fd = test::memory_file(bytes);
    const auto image = ElfImage::open(fd.get());
    return image ? Error{} : image.error();
  };
  auto good = ElfBuilder().add({".text", {1}, 0x1000}).build();
  EXPECT_EQ(why(good).message, "");
  EXPECT_EQ(why({'#', '!'}).code, ErrorCode::kUnsupported);
  auto bytes = good;
  bytes[1] = 'X';
  EXPECT_EQ(why(bytes).code, ErrorCode::kUnsupported);
  bytes = good;
  bytes[EI_CLASS] = ELFCLASS32;
  EXPECT_THAT(why(bytes).message, HasSubstr("32-bit"));
  bytes = good;
  bytes[EI_DATA] = ELFDATA2MSB;
  EXPECT_THAT(why(bytes).message, HasSubstr("big-endian"));
  bytes = good;
  bytes[16] = ET_REL;
  EXPECT_EQ(why(bytes).code, ErrorCode::kUnsupported);
  bytes = good;
  bytes.resize(bytes.size() - 1);
  EXPECT_EQ(why(bytes).code, ErrorCode::kInvalid);
  EXPECT_THAT(why(bytes).message, HasSubstr("section header table"));
  const auto closed = ElfImage::open(-1);
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().code, ErrorCode::kKernel);
}

std::vector<uint8_t> table(uint64_t count, uint64_t text, uint64_t names, uint64_t functions) {
  test::ByteWriter out;
  out.number<uint32_t>(0xfffffff1).number<uint16_t>(0).number<uint8_t>(1).number<uint8_t>(8);
  out.number(count).number<uint64_t>(0).number(text).number(names).number<uint64_t>(90).number<uint64_t>(90);
  out.number<uint64_t>(90).number(functions);
  out.string("main.a").string("main.b");               // 72: names, 14 bytes
  out.bytes.resize(96);                                // 96: functions
  out.number<uint32_t>(0).number<uint32_t>(20).number<uint32_t>(2).number<uint32_t>(28).number<uint32_t>(3);
  out.number<uint32_t>(0).number<uint32_t>(0).number<uint32_t>(2).number<uint32_t>(7);
  return out.bytes;
}

TEST(PclnTable, NamesFunctionsAndRefusesDamage) {
  const auto read = [](std::vector<uint8_t> bytes) {
    const auto fd = test::memory_file(ElfBuilder()
                                          .add({".text", {1, 2, 3, 4}, 0x401000, SHT_PROGBITS, SHF_ALLOC, PF_R | PF_X})
                                          .add({".gopclntab", std::move(bytes), 0x402000})
                                          .build());
    auto image = ElfImage::open(fd.get());
    return PclnTable::read(*image);
  };
  const auto good = read(table(2, 0x401000, 72, 96));
  ASSERT_TRUE(good) << good.error().message;
  ASSERT_EQ(good->size(), 2U);
  EXPECT_EQ(good->at(1)->address, 0x401002U);
  EXPECT_EQ(good->at(1)->size, 1U);
  EXPECT_EQ(good->name(good->at(1)->name, 64), "main.b");
  EXPECT_EQ(good->at(2), std::nullopt);
  for (const auto& bad : {table(0, 0x401000, 72, 96), table(3000, 0x401000, 72, 96), table(~uint64_t{0}, 0x401000, 72, 96),
                          table(2, 0x402000, 72, 96), table(2, 0, 72, 96), table(2, 0x401000, 4000, 96), table(2, 0x401000, 72, 4000),
                          std::vector<uint8_t>(100), std::vector<uint8_t>{1}}) {
    const auto refused = read(bad);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalid);
  }
}

}  // namespace
}  // namespace mapshift::observe::go
