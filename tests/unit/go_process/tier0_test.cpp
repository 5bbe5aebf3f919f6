// SPDX-License-Identifier: Apache-2.0
#include "observe/go/tier0.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "observe/go/census.h"
#include "observe/go/executable.h"

// A pretended runtime in the test's own memory.
namespace mapshift::observe::go {
namespace {

struct Pretended {
  std::array<uint64_t, kLinear4Size / 8> sched{}, gc{};
  uint64_t heap = 1234;
  uint32_t cycles = 7;
  std::array<uint64_t, 3> allgs{};
  uint64_t allglen = 0;
};

uint64_t address_of(const void* p) { return reinterpret_cast<uint64_t>(p); }

Binary describe(const Pretended& runtime, uint64_t bias) {
  Binary out;
  out.layout.histogram_size = kLinear4Size;
  out.layout.g_status = 8;
  out.layout.g_waitreason = 16;
  out.layout.g_startpc = 24;
  out.globals.time_to_run = address_of(&runtime.sched) - bias;
  out.globals.total_gc = address_of(&runtime.gc) - bias;
  out.globals.heap_live = address_of(&runtime.heap) - bias;
  out.globals.gc_cycles = address_of(&runtime.cycles) - bias;
  out.globals.allgs = address_of(&runtime.allgs) - bias;
  out.globals.allglen = address_of(&runtime.allglen) - bias;
  return out;
}

TEST(Tier0, ManyCountsThatAreEachPossibleMayBeTooManyTogether) {
  Figures figures;
  figures.histograms[Figures::kSched].emplace(kLinear4Size / 8, 0);
  auto& counts = *figures.histograms[Figures::kSched];
  const uint64_t half = 1'500'000ULL * std::max(1U, std::thread::hardware_concurrency());  // two seconds' worth are allowed at first
  counts[3] = half;
  EXPECT_FALSE(implausible(figures, nullptr, Nanos(0)));
  counts[4] = half;
  EXPECT_TRUE(implausible(figures, nullptr, Nanos(0)));
}

TEST(Tier0, ReadsWhatIsKnown) {
  Pretended runtime;
  runtime.sched[40] = 3;
  runtime.gc[80] = 2;
  const Binary binary = describe(runtime, 4096);
  const auto figures = read_figures(Memory(getpid()), binary, 4096);
  ASSERT_TRUE(figures) << figures.error().message;
  EXPECT_EQ(figures->observed(Figures::kSched), 3U);
  EXPECT_EQ(figures->observed(Figures::kTotalGc), 2U);
  EXPECT_EQ(figures->observed(Figures::kTotalOther), std::nullopt);
  ProcessReport report;
  fill(*figures, binary, report);
  EXPECT_EQ(report.sched_latency.total(), 3U);
  EXPECT_EQ(report.stw_pause.at("gc").total(), 2U);
  EXPECT_FALSE(report.stw_pause.contains("other"));
  EXPECT_EQ(report.heap_bytes, 1234U);
  EXPECT_EQ(report.gc_cycles, 7U);
}

TEST(Tier0, NothingKnownIsUnsupported) {
  EXPECT_EQ(read_figures(Memory(getpid()), Binary(), 0).error().code, ErrorCode::kUnsupported);
}

TEST(Tier0, BelievesWhatOnlyGrows) {
  Figures before;
  before.histograms[Figures::kSched] = std::vector<uint64_t>{1, 2, 3};
  before.gc_cycles = 5;
  before.allglen = 4;
  before.allgs = 0xc000000000;
  Figures now = before;
  EXPECT_FALSE(implausible(now, &before, Nanos(0)));
  (*now.histograms[Figures::kSched])[1] = 1;
  EXPECT_TRUE(implausible(now, &before, Nanos(0)));
  EXPECT_FALSE(implausible(now, nullptr, Nanos(0)));
  now = before;
  now.gc_cycles = 4;
  EXPECT_TRUE(implausible(now, &before, Nanos(0)));
  now = before;
  now.allglen = 3;
  EXPECT_TRUE(implausible(now, &before, Nanos(0)));
  now = before;
  now.allgs = 0;
  EXPECT_TRUE(implausible(now, nullptr, Nanos(0)));
}

TEST(Tier0, DoesNotBelieveCountsThatAreAddresses) {
  Figures figures;
  figures.histograms[Figures::kTotalGc] = std::vector<uint64_t>{0, 0xc000123400};
  EXPECT_TRUE(implausible(figures, nullptr, std::chrono::minutes(5)));
}

TEST(Tier0, CyclesMayRunOver) {
  Figures before, now;
  before.gc_cycles = 0xffffffffU;
  now.gc_cycles = 1;
  EXPECT_FALSE(implausible(now, &before, Nanos(0)));
}

struct Goroutine {
  uint64_t pad = 0;
  uint32_t status = 0, pad2 = 0;
  uint8_t reason = 0;
  std::array<uint8_t, 7> pad3{};
  uint64_t start = 0;
};
static_assert(sizeof(Goroutine) == 32);

class CensusOf : public ::testing::Test {
 protected:
  Result<Census> take() {
    for (const Goroutine& g : goroutines_) list_.push_back(address_of(&g));
    Figures figures;
    figures.allglen = list_.size();
    figures.allgs = address_of(list_.data());
    return take_census({memory_, describe({}, 0).layout, 0, reasons_, names_, none_}, figures);
  }
  static Goroutine waiting(uint8_t reason) { return {.status = 4, .reason = reason}; }

  Memory memory_{getpid()};
  StartNames names_;
  const Fd none_;
  std::vector<std::string> reasons_ = {"", "sleep", "select"};
  std::vector<Goroutine> goroutines_;
  std::vector<uint64_t> list_;
};

TEST_F(CensusOf, CountsByStateAndReason) {
  for (int i = 0; i < 3000; ++i) goroutines_.push_back(waiting(1));
  for (int i = 0; i < 10; ++i) goroutines_.push_back(waiting(2));
  goroutines_.push_back({.status = 0x1000 | 2});  // running while its stack is scanned
  goroutines_.push_back({.status = 1});
  goroutines_.push_back({.status = 6});            // dead
  goroutines_.push_back(waiting(77));
  const auto census = take();
  ASSERT_TRUE(census) << census.error().message;
  EXPECT_EQ(census->goroutines, 3013U);
  ASSERT_EQ(census->groups.size(), 5U);
  EXPECT_EQ(census->groups[0].reason, "sleep");
  EXPECT_EQ(census->groups[0].count, 3000U);
  EXPECT_EQ(census->groups[1].reason, "select");
  EXPECT_EQ(census->groups[4].reason, "reason 77");
}

TEST_F(CensusOf, RefusesStatesThatNoRuntimeHas) {
  goroutines_ = {waiting(1), {.status = 500}};
  EXPECT_EQ(take().error().code, ErrorCode::kUnsupported);
}

TEST_F(CensusOf, RefusesAListOfNothing) {
  goroutines_ = {waiting(1)};
  list_ = {0x10};
  EXPECT_EQ(take().error().code, ErrorCode::kUnsupported);
}

TEST_F(CensusOf, FoldsRareGroups) {
  for (int reason = 0; reason < 100; ++reason) goroutines_.push_back(waiting(static_cast<uint8_t>(reason)));
  const auto census = take();
  ASSERT_TRUE(census);
  ASSERT_EQ(census->groups.size(), Census::kMaxGroups);
  EXPECT_EQ(census->groups.back().reason, "other");
  uint64_t sum = 0;
  for (const auto& group : census->groups) sum += group.count;
  EXPECT_EQ(sum, 100U);
}

TEST(SystemFunctions, AreTheRuntimesOwn) {
  EXPECT_TRUE(is_system_function("runtime.gcBgMarkWorker"));
  EXPECT_FALSE(is_system_function("runtime.main"));
  EXPECT_FALSE(is_system_function("main.main"));
  EXPECT_FALSE(is_system_function("runtime/pprof.writer"));
}

}  // namespace
}  // namespace mapshift::observe::go
