// SPDX-License-Identifier: Apache-2.0
#include "observe/go/dwarf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "elf_builder.h"

namespace mapshift::observe::go {
namespace {

using test::ByteWriter;
using ::testing::ElementsAre;
using ::testing::Pair;

const std::vector<std::string_view> kWanted = {"runtime.g", "runtime.m"};

// 1: compile unit (name as string), 2: structure (name, size), 3: member (name, location as number), 4: member (name in .debug_str,
// location as expression), 5: something with children and an unknown form.
std::vector<uint8_t> abbreviations() {
  ByteWriter out;
  const auto code = [&](uint8_t number, uint8_t tag, bool children, std::initializer_list<std::pair<uint8_t, uint8_t>> attributes) {
    out.uleb(number).uleb(tag).number<uint8_t>(children);
    for (const auto& [name, form] : attributes) out.uleb(name).uleb(form);
    out.uleb(0).uleb(0);
  };
  code(1, 0x11, true, {{0x03, 0x08}});
  code(2, 0x13, true, {{0x03, 0x08}, {0x0b, 0x0f}});
  code(3, 0x0d, false, {{0x03, 0x08}, {0x38, 0x0f}});
  code(4, 0x0d, false, {{0x03, 0x0e}, {0x38, 0x18}});
  code(5, 0x2e, true, {{0x03, 0x7f}});
  out.uleb(0);
  return out.bytes;
}

void append(std::vector<uint8_t>& to, const std::vector<uint8_t>& more) {
  for (const uint8_t byte : more) to.push_back(byte);
}

std::vector<uint8_t> unit(uint16_t version, std::string_view name, const std::vector<uint8_t>& children) {
  ByteWriter out;
  out.number<uint16_t>(version);
  if (version >= 5) out.number<uint8_t>(1).number<uint8_t>(8).number<uint32_t>(0);
  else out.number<uint32_t>(0).number<uint8_t>(8);
  out.uleb(1).string(name);
  append(out.bytes, children);
  out.uleb(0);
  ByteWriter whole;
  whole.number(static_cast<uint32_t>(out.bytes.size()));
  append(whole.bytes, out.bytes);
  return whole.bytes;
}

std::vector<uint8_t> structure(std::string_view name) {
  ByteWriter out;
  out.uleb(2).string(name).uleb(400);
  out.uleb(3).string("goid").uleb(152);
  out.uleb(4).number<uint32_t>(1).uleb(3).number<uint8_t>(0x23).uleb(304);
  out.uleb(3).string("beyond").uleb(401);
  out.uleb(0);
  return out.bytes;
}

const std::vector<uint8_t> kTexts = ByteWriter().string("").string("startpc").bytes;

Result<StructLayouts> read(const std::vector<uint8_t>& info) {
  const auto abbrev = abbreviations();
  return read_structs(DwarfSections{info, abbrev, kTexts, {}}, kWanted);
}

TEST(Dwarf, ReadsStructuresOfTheRuntime) {
  for (uint16_t version = 2; version <= 5; ++version) {
    auto info = unit(version, "main", structure("runtime.m"));
    append(info, unit(version, "runtime", structure("runtime.g")));
    const auto found = read(info);
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_EQ(found->size(), 1U) << version;
    const auto& g = found->at("runtime.g");
    EXPECT_EQ(g.size, 400U);
    EXPECT_THAT(g.members, ElementsAre(Pair("goid", 152), Pair("startpc", 304)));
  }
}

TEST(Dwarf, ForeignUnitsAreNotJudged) {
  ByteWriter strange;
  strange.uleb(5).number<uint64_t>(1);
  auto info = unit(4, "a.c", strange.bytes);
  append(info, unit(9, "later", {}));
  append(info, unit(5, "runtime", structure("runtime.g")));
  const auto found = read(info);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->size(), 1U);
}

TEST(Dwarf, DamageIsAnError) {
  const auto good = unit(5, "runtime", structure("runtime.g"));
  ByteWriter strange, unknown, open;
  strange.uleb(5).number<uint64_t>(1);
  unknown.uleb(99);
  open.uleb(2).string("runtime.g").uleb(400).uleb(3).string("goid");
  for (const auto& bad : {unit(5, "runtime", strange.bytes), unit(5, "runtime", unknown.bytes), unit(5, "runtime", open.bytes),
                          std::vector<uint8_t>(good.begin(), good.end() - 1), std::vector<uint8_t>(3, 1), std::vector<uint8_t>(64)}) {
    const auto found = read(bad);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, ErrorCode::kInvalid);
  }
  EXPECT_TRUE(read({}));
}

TEST(Dwarf, DeepAndEndlessTreesEnd) {
  // Structures within structures, a hundred thousand deep.
  ByteWriter deep;
  for (int i = 0; i < 100'000; ++i) deep.uleb(2).string("x").uleb(8);
  const auto found = read(unit(5, "runtime", deep.bytes));
  EXPECT_TRUE(!found || found->empty());
}

TEST(Dwarf, ManyUnitsOfOneLargeTableAreCheap) {
  ByteWriter table;
  for (int code = 1; code <= 4000; ++code) {
    table.uleb(code).uleb(0x11).number<uint8_t>(1);
    for (int i = 0; i < 200; ++i) table.uleb(1).uleb(0x19);
    table.uleb(0).uleb(0);
  }
  table.uleb(0);
  std::vector<uint8_t> info;
  for (uint32_t i = 0; i < 20'000; ++i) {
    ByteWriter one;
    one.number<uint32_t>(8).number<uint16_t>(4).number<uint32_t>(i % 2 == 0 ? 0 : 405 * (i % 3000)).number<uint8_t>(8).uleb(1);
    append(info, one.bytes);
  }
  (void)read_structs(DwarfSections{info, table.bytes, {}, {}}, kWanted);  // that it returns at all: the test's own limit is the check
}

}  // namespace
}  // namespace mapshift::observe::go
