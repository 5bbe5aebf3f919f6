// SPDX-License-Identifier: Apache-2.0
#include "observe/go/census.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace mapshift::observe::go {
namespace {

// What a process may have written where the runtime keeps its goroutines: this process plays it.
struct FakeGoroutine {
  uint32_t status = 4;
  uint32_t pad = 0;
  uint64_t reason = 0;
  uint64_t start = 0;
};

struct Target {
  std::vector<FakeGoroutine> goroutines;
  std::vector<uint64_t> list;
  StartNames names;
  Fd file = std::move(*open_file("/proc/self/exe"));

  Result<Census> count() {
    if (list.empty())
      for (const FakeGoroutine& each : goroutines) list.push_back(reinterpret_cast<uint64_t>(&each));
    Layout layout;
    layout.g_status = offsetof(FakeGoroutine, status);
    layout.g_waitreason = offsetof(FakeGoroutine, reason);
    layout.g_startpc = offsetof(FakeGoroutine, start);
    Figures figures;
    figures.allglen = list.size();
    figures.allgs = reinterpret_cast<uint64_t>(list.data());
    const Memory memory(getpid());
    const std::vector<std::string> reasons = {"", "select"};
    return take_census({memory, layout, 0, reasons, names, file}, figures);
  }
};

TEST(Census, CountsByStateAndReason) {
  Target target;
  target.goroutines = {{4, 0, 1, 100}, {4, 0, 1, 100}, {2, 0, 0, 200}, {0x1001, 0, 0, 200}, {6, 0, 0, 300}};
  const auto census = target.count();
  ASSERT_TRUE(census) << census.error().message;
  EXPECT_EQ(census->goroutines, 4U);  // one is dead
  ASSERT_EQ(census->groups.size(), 3U);
  EXPECT_EQ(census->groups[0].reason, "select");
  EXPECT_EQ(census->groups[0].count, 2U);
  ASSERT_EQ(census->start_functions.size(), 2U);
}

TEST(Census, MoreStartFunctionsThanAnyProgramHasAreCountedAndNotKept) {
  Target target;
  constexpr size_t kMany = 50'000;
  for (size_t i = 0; i < kMany; ++i) target.goroutines.push_back({4, 0, 1, 0x1000 + i});
  target.goroutines.insert(target.goroutines.end(), 100, {4, 0, 1, 0x1});
  const auto census = target.count();
  ASSERT_TRUE(census) << census.error().message;
  EXPECT_EQ(census->goroutines, kMany + 100);
  for (const StartFunction& start : census->start_functions) EXPECT_EQ(start.count, 1U) << start.function;
}

TEST(Census, AListOfNonsenseIsLeftAtOnce) {
  Target target;
  target.list.assign(1'000'000, 0x10);  // each costs a system call
  const auto census = target.count();
  ASSERT_FALSE(census);
  EXPECT_EQ(census.error().code, ErrorCode::kUnsupported);
  EXPECT_TRUE(census.error().message.starts_with("8192 of 8192 ")) << census.error().message;
}

TEST(Census, AStateThatNoRuntimeHasIsNoGoroutine) {
  Target target;
  target.goroutines = {{4, 0, 1, 100}, {77, 0, 1, 100}};
  const auto census = target.count();
  ASSERT_FALSE(census);
  EXPECT_EQ(census.error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace mapshift::observe::go
