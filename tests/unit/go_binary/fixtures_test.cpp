// SPDX-License-Identifier: Apache-2.0
// Real programs of every Go on this machine. What a stripped one tells by its code is held against the symbols and the debugging
// information of the same program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <set>

#include "fixtures.h"
#include "memory_file.h"
#include "observe/go/build_info.h"
#include "observe/go/code.h"
#include "observe/go/globals.h"
#include "observe/go/layout.h"
#include "observe/go/pclntab.h"
#include "observe/go/reason_tables.h"
#include "observe/go/symbols.h"

namespace mapshift::observe::go {

inline bool operator==(const Globals& a, const Globals& b) {
  const auto all = [](const Globals& g) {
    return std::tie(g.time_to_run, g.stopping_gc, g.stopping_other, g.total_gc, g.total_other, g.pause_gc_old, g.allgs, g.allglen,
                    g.heap_live, g.gc_cycles, g.wait_reasons, g.stw_reasons, g.wait_reason_count, g.stw_reason_count);
  };
  return all(a) == all(b);
}

namespace {

using test::go_fixture;
using test::open_file;

auto fields(const Layout& l) {
  return std::tie(l.g_goid, l.g_status, l.g_waitreason, l.g_parent_goid, l.g_startpc, l.g_m, l.m_procid, l.m_curg, l.sched_time_to_run,
                  l.sched_stopping_gc, l.sched_stopping_other, l.sched_total_gc, l.sched_total_other, l.fd_sysfd, l.histogram_size);
}

// What is not there by nature: to 1.19 record() is inlined everywhere.
void expect_complete(const Binary& binary) {
  if (binary.version.minor >= 20) {
    EXPECT_THAT(binary.missing, ::testing::IsEmpty());
    return;
  }
  EXPECT_THAT(binary.missing, ::testing::ElementsAre(::testing::HasSubstr("timeHistogram")));
}

Code code_of(ElfImage& image, DataSymbols& symbols) {
  std::map<std::string, Code::Place, std::less<>> places;
  const auto table = PclnTable::read(image);
  for (uint32_t i = 0; table && i < table->size(); ++i) {
    const auto entry = table->at(i);
    const auto name = entry ? table->name(entry->name, 64) : std::nullopt;
    if (name) places.try_emplace(std::string(*name), Code::Place{entry->address, entry->size});
  }
  const auto present = for_each_symbol(image, [&](const Symbol& symbol) {
    const auto& wanted = wanted_symbols();
    if (std::find(wanted.begin(), wanted.end(), symbol.name) == wanted.end()) return;
    symbols.try_emplace(std::string(symbol.name), DataSymbol{symbol.address, symbol.size});
  });
  EXPECT_TRUE(present && *present);
  return Code(image, *arch_for(image.machine()), std::move(places));
}

class GoFixture : public ::testing::TestWithParam<std::string> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoFixture);

TEST_P(GoFixture, IsUnderstoodByItsDebuggingInformation) {
  const auto fd = open_file(go_fixture(GetParam(), "default"));
  const auto binary = analyse(fd.get());
  ASSERT_TRUE(binary) << binary.error().message;
  EXPECT_TRUE(binary->version.text.starts_with("go" + GetParam())) << binary->version.text;
  EXPECT_EQ(binary->main_module, "example.test/tiny");
  EXPECT_EQ(binary->arch, "amd64");
  EXPECT_TRUE(binary->has_symbols);
  EXPECT_TRUE(binary->has_dwarf);
  EXPECT_FALSE(binary->pie);
  EXPECT_FALSE(binary->cgo);
  EXPECT_EQ(binary->layout.origin, Origin::kDwarf);
  expect_complete(*binary);
}

TEST_P(GoFixture, TableAgreesWithDebuggingInformation) {
  const auto fd = open_file(go_fixture(GetParam(), "default"));
  const auto image = ElfImage::open(fd.get());
  ASSERT_TRUE(image);
  const auto structs = read_structs(*image, wanted_structs());
  ASSERT_TRUE(structs) << structs.error().message;
  EXPECT_EQ(structs->size(), wanted_structs().size());
  const auto seen = layout_from(*structs);
  const auto version = parse_version("go" + GetParam());
  ASSERT_TRUE(seen && version);
  const auto known = layout_of(*version);
  if (!known) GTEST_SKIP() << "newer than the table";
  EXPECT_TRUE(fields(*seen) == fields(*known));
}

TEST_P(GoFixture, PatternsAgreeWithSymbols) {
  const auto fd = open_file(go_fixture(GetParam(), "default"));
  auto image = ElfImage::open(fd.get());
  ASSERT_TRUE(image);
  const auto structs = read_structs(*image, wanted_structs());
  ASSERT_TRUE(structs);
  const auto layout = layout_from(*structs);
  ASSERT_TRUE(layout);
  DataSymbols symbols;
  Code code = code_of(*image, symbols);
  Globals by_symbol = globals_by_symbol(symbols, *structs), by_code = globals_by_code(code, *layout);
  EXPECT_NE(by_symbol.time_to_run, 0U);
  EXPECT_NE(by_symbol.heap_live, 0U);
  find_reason_tables(*image, code, symbols, by_symbol);
  find_reason_tables(*image, code, {}, by_code);
  EXPECT_NE(by_symbol.wait_reasons, 0U);
  EXPECT_TRUE(by_symbol == by_code);
}

TEST_P(GoFixture, StrippedBuildsAreUnderstood) {
  const auto whole_fd = open_file(go_fixture(GetParam(), "default"));
  const auto whole = analyse(whole_fd.get());
  ASSERT_TRUE(whole);
  for (const std::string variant : {"stripped", "pie", "cgo"}) {
    SCOPED_TRACE(variant);
    const auto fd = open_file(go_fixture(GetParam(), variant));
    if (!fd.valid()) {
      std::printf("skipped: %s of %s is not built\n", variant.c_str(), GetParam().c_str());
      continue;
    }
    const auto binary = analyse(fd.get());
    ASSERT_TRUE(binary) << binary.error().message;
    EXPECT_FALSE(binary->has_symbols);
    EXPECT_FALSE(binary->has_dwarf);
    EXPECT_EQ(binary->pie, variant != "stripped");
    EXPECT_EQ(binary->cgo, variant == "cgo");
    EXPECT_EQ(binary->layout.origin, Origin::kTable);
    EXPECT_TRUE(fields(binary->layout) == fields(whole->layout));
    EXPECT_EQ(binary->globals.wait_reason_count, whole->globals.wait_reason_count);
    EXPECT_EQ(binary->globals.stw_reason_count, whole->globals.stw_reason_count);
    expect_complete(*binary);
    for (size_t i = 0; variant == "stripped" && i < kTargets; ++i) {
      ASSERT_EQ(binary->targets[i].has_value(), whole->targets[i].has_value());
      if (!binary->targets[i]) continue;
      EXPECT_EQ(binary->targets[i]->address, whole->targets[i]->address);
      EXPECT_EQ(binary->targets[i]->entry.offset, whole->targets[i]->entry.offset);
      EXPECT_EQ(binary->targets[i]->returns.size(), whole->targets[i]->returns.size());
    }
  }
}

TEST_P(GoFixture, ProbePointsAreOnTheRightInstructions) {
  for (const std::string variant : {"default", "stripped", "pie", "cgo"}) {
    const auto bytes = test::file_bytes(go_fixture(GetParam(), variant));
    if (bytes.empty()) continue;
    const auto fd = open_file(go_fixture(GetParam(), variant));
    const auto binary = analyse(fd.get());
    ASSERT_TRUE(binary) << binary.error().message;
    for (const auto& target : binary->targets) {
      if (!target) continue;
      SCOPED_TRACE(variant + " " + target->name);
      const uint64_t begin = target->address - binary->segment_address + binary->segment_offset;
      EXPECT_GE(target->entry.offset, begin);
      EXPECT_LT(target->entry.offset, begin + 64);
      // From 1.21 frames are set up by a PUSH; functions without one have a conditional jump near their start.
      if (binary->version.minor >= 21) {
        const uint8_t first = bytes.at(target->entry.offset);
        EXPECT_TRUE(target->entry.emulated);
        const bool frameless = target->name == "runtime.(*timeHistogram).record" || target->name == "runtime.netpollready";
        EXPECT_TRUE(first == 0x55 || frameless);
        EXPECT_TRUE(first == 0x55 || (first >= 0x70 && first <= 0x7f) || first == 0x0f) << static_cast<int>(first);
      }
      EXPECT_FALSE(target->returns.empty());
      for (const auto& one : target->returns) EXPECT_EQ(bytes.at(one.offset), 0xc3);
    }
  }
}

TEST_P(GoFixture, NamesFunctions) {
  for (const std::string variant : {"default", "stripped", "pie", "cgo"}) {
    const auto fd = open_file(go_fixture(GetParam(), variant));
    if (!fd.valid()) continue;
    SCOPED_TRACE(variant);
    const auto binary = analyse(fd.get());
    const auto names = FunctionNames::read(fd.get());
    ASSERT_TRUE(binary && names);
    const auto& function = binary->target(Target::kCasgstatus);
    ASSERT_TRUE(function);
    EXPECT_EQ(names->at(function->address), "runtime.casgstatus");
    EXPECT_EQ(names->at(function->address + function->size - 1), "runtime.casgstatus");
    EXPECT_NE(names->at(function->address - 1), "runtime.casgstatus");
    EXPECT_EQ(names->at(0), std::nullopt);
    EXPECT_EQ(names->at(~uint64_t{0}), std::nullopt);
  }
}

// The program, as if it were of another version: the text of the version has as many bytes.
std::vector<uint8_t> with_minor(const std::string& version, const std::string& variant, const std::string& minor) {
  auto bytes = test::file_bytes(go_fixture(version, variant));
  const std::string old = "go" + version;
  std::string changed = old;
  changed.replace(4, 2, minor);
  for (auto at = bytes.begin(); (at = std::search(at, bytes.end(), old.begin(), old.end())) != bytes.end(); ++at) {
    std::copy(changed.begin(), changed.end(), at);
  }
  return bytes;
}

TEST_P(GoFixture, UnknownVersionNeedsDebuggingInformation) {
  const auto stripped = test::memory_file(with_minor(GetParam(), "stripped", "77"));
  const auto refused = analyse(stripped.get());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("go1.77"));
  const auto whole = test::memory_file(with_minor(GetParam(), "default", "77"));
  const auto binary = analyse(whole.get());
  ASSERT_TRUE(binary) << binary.error().message;
  EXPECT_EQ(binary->version.minor, 77);
  EXPECT_EQ(binary->layout.origin, Origin::kDwarf);
}

TEST_P(GoFixture, OldVersionIsRefused) {
  const auto old = test::memory_file(with_minor(GetParam(), "default", "12"));
  const auto refused = analyse(old.get());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("oldest"));
}

TEST_P(GoFixture, OtherArchitectureIsNamed) {
  auto bytes = test::file_bytes(go_fixture(GetParam(), "stripped"));
  ASSERT_GT(bytes.size(), 20U);
  bytes[18] = 183;  // EM_AARCH64
  const auto file = test::memory_file(bytes);
  const auto refused = analyse(file.get());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("machine 183"));
}

INSTANTIATE_TEST_SUITE_P(Versions, GoFixture, ::testing::ValuesIn(test::go_fixtures()), [](const auto& parameter) {
  std::string out = "go" + parameter.param;
  std::replace_if(out.begin(), out.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return out;
});

TEST(GoFixtures, SayWhichVersionsAreNotHere) {
  std::set<int> here;
  for (const auto& one : test::go_fixtures()) {
    if (const auto version = parse_version("go" + one)) here.insert(version->minor);
  }
  for (int minor = 19; minor <= kNewestKnownMinor; ++minor) {
    if (!here.contains(minor)) std::printf("skipped: no Go 1.%d on this machine\n", minor);
  }
  if (here.empty()) GTEST_SKIP() << "no Go on this machine: nothing of real programs was tested";
}

}  // namespace
}  // namespace mapshift::observe::go
