// SPDX-License-Identifier: Apache-2.0
#include "observe/go/build_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "elf_builder.h"
#include "memory_file.h"

namespace mapshift::observe::go {
namespace {

using test::ElfBuilder;
using ::testing::HasSubstr;

Result<BuildInfo> read(std::vector<uint8_t> section) {
  const auto fd = test::memory_file(ElfBuilder().add({".go.buildinfo", std::move(section), 0x1000}).build());
  auto image = ElfImage::open(fd.get());
  if (!image) return fail(image.error());
  return read_build_info(*image);
}

TEST(BuildInfo, ReadsVersionModuleAndSettings) {
  const auto info = read(test::build_info("go1.22.12", "path\tcommand-line-arguments\nmod\texample.test/app\t(devel)\t\n"
                                                       "dep\tother.test/x\tv1.0.0\nbuild\tCGO_ENABLED=1\n"));
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->version.minor, 22);
  EXPECT_EQ(info->version.patch, 12);
  EXPECT_EQ(info->version.text, "go1.22.12");
  EXPECT_EQ(info->main_module, "example.test/app");
  EXPECT_TRUE(info->cgo);
}

TEST(BuildInfo, WithoutModulesHasTheVersionOnly) {
  const auto info = read(test::build_info("go1.19", ""));
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->version.minor, 19);
  EXPECT_EQ(info->main_module, "");
  EXPECT_FALSE(info->cgo);
}

TEST(BuildInfo, ReadsPointersOfOldVersions) {
  test::ByteWriter out;
  out.text("\xff Go buildinf:").number<uint8_t>(8).number<uint8_t>(0);
  out.number<uint64_t>(0x1020).number<uint64_t>(0x1030);            // two Go strings' headers
  out.number<uint64_t>(0x1040).number<uint64_t>(8);                 // version
  out.number<uint64_t>(0x1040).number<uint64_t>(0);                 // no modules
  out.text("go1.17.3");
  const auto info = read(out.bytes);
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->version.minor, 17);
  EXPECT_EQ(info->version.patch, 3);
}

TEST(BuildInfo, DamageIsToldFromNotGo) {
  auto cut = test::build_info("go1.22.12", "path\tx\n");
  cut.resize(36);
  auto no_magic = test::build_info("go1.22.12", "");
  no_magic[3] = 'X';
  test::ByteWriter wild;
  wild.text("\xff Go buildinf:").number<uint8_t>(8).number<uint8_t>(0).number<uint64_t>(~uint64_t{0}).number<uint64_t>(8);
  for (auto& bytes : {cut, no_magic, wild.bytes, std::vector<uint8_t>(), test::build_info("gopher", ""),
                      test::build_info("go1.99999999999", "")}) {
    const auto info = read(bytes);
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().code, ErrorCode::kInvalid);
    EXPECT_THAT(info.error().message, HasSubstr("claims to be a Go program"));
  }
  const auto fd = test::memory_file(ElfBuilder().add({".text", {0xc3}, 0x1000}).build());
  const auto other = analyse(fd.get());
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(other.error().message, HasSubstr("not a Go program"));
}

TEST(BuildInfo, ClaimsWithoutContentAreDamaged) {
  const auto fd = test::memory_file(ElfBuilder().add({".go.buildinfo", test::build_info("go1.22.1", ""), 0x1000}).build());
  const auto binary = analyse(fd.get());
  ASSERT_FALSE(binary);
  EXPECT_EQ(binary.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(binary.error().message, HasSubstr("table of functions"));
}

TEST(BuildInfo, VersionsOfAllShapes) {
  const auto check = [](std::string_view text, int minor, int patch) {
    const auto version = parse_version(text);
    ASSERT_TRUE(version) << text;
    EXPECT_EQ(version->minor, minor) << text;
    EXPECT_EQ(version->patch, patch) << text;
  };
  check("go1.26", 26, 0);
  check("go1.26rc1", 26, 0);
  check("go1.22.3 X:boringcrypto", 22, 3);
  check("go1.23.4-custom", 23, 4);
  check("devel go1.21-3c1e6c7 Thu Jan 1", 21, 0);
  EXPECT_FALSE(parse_version("go2.0"));
  EXPECT_FALSE(parse_version("go1."));
  EXPECT_FALSE(parse_version("go1.-5"));
  EXPECT_FALSE(parse_version(""));
}

TEST(BuildInfo, TextsArePrintable) {
  const auto info = read(test::build_info("go1.22.1\x1b[31m", std::string("path\tevil\x01\xff\n")));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->version.text, "go1.22.1?[31m");
  EXPECT_EQ(info->main_module, "evil??");
}

}  // namespace
}  // namespace mapshift::observe::go
