// SPDX-License-Identifier: Apache-2.0
#include "observe/go/estimate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

namespace mapshift::observe::go {
namespace {

size_t bucket_of(double ns) {
  const double rest = std::log2(ns / (1 << MS_GO_FIRST_BOUND));
  return rest <= 0 ? 0 : std::min<size_t>(static_cast<size_t>(std::ceil(rest)), MS_GO_BOUNDS);
}

double all(const Estimate& estimate) { return std::accumulate(estimate.counts.begin(), estimate.counts.end(), 0.0); }

TEST(Estimate, WhatWasTimedStaysAsItIs) {
  ms_go_histogram timed{};
  timed.counts[3] = 7;
  timed.counts[20] = 11;
  timed.sum = 1500000000;
  const Estimate result = estimate(timed, {});
  EXPECT_EQ(result.counts[3], 7);
  EXPECT_EQ(result.counts[20], 11);
  EXPECT_EQ(all(result), 18);
  EXPECT_EQ(result.sum, 1.5);
}

TEST(Estimate, NothingIsNothing) { EXPECT_EQ(all(estimate({}, {})), 0); }

TEST(Estimate, WhatOutlivedAllGoesAboveWhatIsKnownOfIt) {
  ms_go_histogram longer{};
  longer.counts[5] = 4;
  longer.counts[9] = 1;
  const Estimate result = estimate({}, longer);
  EXPECT_EQ(result.counts[10], 5);
  EXPECT_GT(result.sum, 0);
  ms_go_histogram last{};
  last.counts[MS_GO_BUCKETS - 1] = 2;
  EXPECT_EQ(estimate({}, last).counts[MS_GO_BUCKETS - 1], 2);
}

// Waits of known length, seen through windows: how many there were must come out, and how long they were as far as a window sees.
TEST(Estimate, FindsTheTimesBehindWindows) {
  std::mt19937 random(7);
  constexpr double kWindow = 50e6;
  std::lognormal_distribution<double> wait(std::log(8e6), 1);
  std::uniform_real_distribution<double> edge(0, kWindow);
  ms_go_histogram timed{}, longer{};
  std::array<double, MS_GO_BUCKETS> truth{};
  constexpr int kWaits = 200000;
  for (int i = 0; i < kWaits; i++) {
    const double took = wait(random), since_window = edge(random);
    truth[bucket_of(took)]++;
    if (took <= since_window) timed.counts[bucket_of(took)]++;
    else longer.counts[bucket_of(since_window)]++;
  }
  const Estimate result = estimate(timed, longer);
  EXPECT_NEAR(all(result), kWaits, 1);
  double naive = 0;
  for (size_t i = 0; i + 1 < bucket_of(kWindow); i++) {
    if (truth[i] < 1000) continue;
    EXPECT_NEAR(result.counts[i], truth[i], 0.12 * truth[i]) << i;
    naive = std::max(naive, std::abs(static_cast<double>(timed.counts[i]) - truth[i]) / truth[i]);
  }
  EXPECT_GT(naive, 0.2) << "without the estimate it would be far off";
}

TEST(Estimate, RoundingNeverMakesACountFall) {
  Estimate total, part;
  part.counts[4] = 0.7;
  part.counts[8] = 1;
  uint64_t before = 0;
  for (int i = 0; i < 50; i++) {
    total.add(part, 1.3);
    const Histogram shown = rounded(total, false);
    EXPECT_GE(shown.counts[4], before);
    before = shown.counts[4];
    EXPECT_TRUE(shown.sum_is_estimate);
  }
  const Histogram shown = rounded(total, true);
  EXPECT_EQ(shown.bounds.size(), size_t{MS_GO_BOUNDS});
  EXPECT_EQ(shown.counts.size(), size_t{MS_GO_BUCKETS});
  EXPECT_DOUBLE_EQ(shown.bounds.front(), 2.048e-6);
  EXPECT_EQ(shown.counts[8], 65U);
}

TEST(Estimate, WhatIsLostInABucketWasAtRiskForHalfOfIt) {
  ms_go_histogram timed{}, longer{};
  timed.counts[3] = 50;
  timed.counts[5] = 30;
  longer.counts[3] = 20;
  const Estimate result = estimate(timed, longer);
  EXPECT_NEAR(result.counts[3], 100 * 50.0 / 90, 1e-6);
  EXPECT_NEAR(result.counts[5], 100 * 40.0 / 90, 1e-6);
}

}  // namespace
}  // namespace mapshift::observe::go
