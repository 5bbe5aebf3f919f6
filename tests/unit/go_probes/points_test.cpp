// SPDX-License-Identifier: Apache-2.0
#include "observe/go/points.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace mapshift::observe::go {
namespace {

Binary binary_of(int minor) {
  Binary binary;
  binary.version.minor = minor;
  binary.layout.g_waitreason = 176;
  for (size_t i = 0; i < kTargets; i++) {
    binary.targets[i] = Function{"f", 0x1000 * (i + 1), 64, {0x100 * (i + 1), true}, {{0x100 * (i + 1) + 9, false}, {0x100 * (i + 1) + 20, false}}};
  }
  return binary;
}

auto count(const Places& places, ms_go_place place) {
  return std::ranges::count_if(places, [place](const UprobePlace& each) { return each.cookie == place; });
}

TEST(Points, EveryReturnIsProbed) {
  const Points points = points_of(binary_of(23), {});
  EXPECT_EQ(count(points.rare, MS_GO_AT_START_WORLD), 1);
  EXPECT_EQ(count(points.rare, MS_GO_AT_WORLD_STARTED), 2);
  EXPECT_EQ(count(points.rare, MS_GO_AT_GC_START), 1);
  EXPECT_EQ(count(points.rare, MS_GO_AT_MARK_TERMINATION), 1);
  EXPECT_EQ(count(points.io, MS_GO_AT_READ_RETURN), 2);
  EXPECT_EQ(count(points.io, MS_GO_AT_WRITE_RETURN), 2);
  EXPECT_EQ(points.goroutines.size(), 2U);
  EXPECT_TRUE(points.notes.empty());
  EXPECT_EQ(points.why_no_windows, "");
}

TEST(Points, OlderVersionsAreProbedWhereTheWorldStops) {
  EXPECT_EQ(count(points_of(binary_of(22), {}).rare, MS_GO_AT_WORLD_STOPPED), 2);
  EXPECT_EQ(count(points_of(binary_of(22), {}).rare, MS_GO_AT_STOP_WORLD), 0);
  EXPECT_EQ(count(points_of(binary_of(21), {}).rare, MS_GO_AT_STOP_WORLD), 1);
  EXPECT_EQ(points_of(binary_of(21), {}).notes.size(), 1U);
  EXPECT_EQ(points_of(binary_of(20), {}).notes.size(), 2U);
  EXPECT_EQ(count(points_of(binary_of(26), {}).rare, MS_GO_AT_STOP_WORLD), 0);
}

TEST(Points, WhatIsNotFoundIsSaidAndNotProbed) {
  Binary binary = binary_of(23);
  binary.targets[static_cast<size_t>(Target::kStartTheWorld)].reset();
  binary.targets[static_cast<size_t>(Target::kFdRead)]->returns.clear();
  binary.targets[static_cast<size_t>(Target::kNetpollReady)].reset();
  binary.targets[static_cast<size_t>(Target::kGcMarkTermination)].reset();
  const Points points = points_of(binary, {});
  EXPECT_EQ(count(points.rare, MS_GO_AT_WORLD_STARTED), 0);
  EXPECT_EQ(count(points.io, MS_GO_AT_READ), 0) << "an entry without its returns would leave calls behind";
  EXPECT_EQ(points.notes.size(), 4U);
}

TEST(Points, WithoutTheWaitReasonThereAreNoWindows) {
  Binary binary = binary_of(23);
  binary.layout.g_waitreason.reset();
  EXPECT_NE(points_of(binary, {}).why_no_windows, "");
  binary.targets[static_cast<size_t>(Target::kCasgstatus)].reset();
  EXPECT_NE(points_of(binary, {}).why_no_windows, "");
}

TEST(Points, SteppedPlacesCostMore) {
  Binary binary = binary_of(19);
  const ProbeCost cost{1e-6, 9e-6, 0};
  EXPECT_DOUBLE_EQ(points_of(binary, cost).hit_cost[MS_GO_HIT_STATUS], 1e-6);
  binary.targets[static_cast<size_t>(Target::kCasgstatus)]->entry.emulated = false;
  EXPECT_DOUBLE_EQ(points_of(binary, cost).hit_cost[MS_GO_HIT_STATUS], 9e-6);
  EXPECT_DOUBLE_EQ(points_of(binary, cost).hit_cost[MS_GO_HIT_IO_RETURN], 9e-6);
}

}  // namespace
}  // namespace mapshift::observe::go
