// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/gaps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace mapshift::observe::changes {
namespace {

using Seen = Gaps::Seen;

uint64_t total(const std::vector<Gaps::Lost>& lost) {
  return std::accumulate(lost.begin(), lost.end(), uint64_t{0}, [](uint64_t sum, const auto& one) { return sum + one.last - one.first + 1; });
}

TEST(Gaps, NumbersInOrderLeaveNone) {
  Gaps gaps(1);
  for (uint64_t n = 1; n <= 100; ++n) EXPECT_EQ(gaps.take(n, [] { return uint64_t{0}; }), Seen::kNew);
  EXPECT_FALSE(gaps.any_missing());
  EXPECT_EQ(gaps.next(), 101u);
}

TEST(Gaps, AMissingNumberIsLostOnlyWhenAllThatWasReservedByThenIsRead) {
  Gaps gaps(1);
  (void)gaps.take(3, [] { return uint64_t{500}; });
  EXPECT_EQ(total(gaps.settle(499)), 0u);
  EXPECT_EQ(gaps.take(2, [] { return uint64_t{0}; }), Seen::kNew);
  const auto lost = gaps.settle(500);
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(lost[0].first, 1u);
  EXPECT_EQ(lost[0].last, 1u);
  EXPECT_EQ(total(gaps.settle(1000)), 0u) << "told once";
  EXPECT_EQ(gaps.take(1, [] { return uint64_t{0}; }), Seen::kLate);
}

TEST(Gaps, AGapIsFilledFromAnywhere) {
  Gaps gaps(1);
  (void)gaps.take(10, [] { return uint64_t{100}; });
  for (const uint64_t n : {5, 1, 9, 3, 7}) EXPECT_EQ(gaps.take(n, [] { return uint64_t{0}; }), Seen::kNew);
  EXPECT_EQ(gaps.take(5, [] { return uint64_t{0}; }), Seen::kLate) << "twice";
  EXPECT_EQ(total(gaps.settle(100)), 4u);
}

TEST(Gaps, TheEndOfTheNumbersCanBeLost) {
  Gaps gaps(1);
  (void)gaps.take(1, [] { return uint64_t{0}; });
  gaps.handed_out(4, 10);
  gaps.handed_out(4, 10);
  EXPECT_EQ(total(gaps.settle(10)), 3u);
  EXPECT_EQ(gaps.next(), 5u);
}

TEST(Gaps, WhatCameBeforeTheFirstOneIsOld) {
  Gaps gaps(10);
  EXPECT_EQ(gaps.take(9, [] { return uint64_t{0}; }), Seen::kOld);
  EXPECT_EQ(gaps.take(10, [] { return uint64_t{0}; }), Seen::kNew);
  Gaps unknown(0);
  unknown.handed_out(50, 0);
  EXPECT_EQ(unknown.take(77, [] { return uint64_t{0}; }), Seen::kNew);
  EXPECT_FALSE(unknown.any_missing());
}

}  // namespace
}  // namespace mapshift::observe::changes
