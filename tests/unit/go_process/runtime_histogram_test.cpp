// SPDX-License-Identifier: Apache-2.0
#include "observe/go/runtime_histogram.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

namespace mapshift::observe::go {
namespace {

// (*timeHistogram).record of the runtime, the two forms of it: which counter a duration is counted in.
size_t counter_up_to_1_19(uint64_t d) {
  size_t super = 0, sub = d;
  if (d >= 16) {
    super = static_cast<size_t>(64 - __builtin_clzll(d)) - 4;
    if (super * 16 >= 720) return 719;
    sub = (d >> (super - 1)) % 16;
  }
  return super * 16 + sub;
}

size_t counter_from_1_20(uint64_t d) {
  const auto bits = static_cast<size_t>(d == 0 ? 0 : 64 - __builtin_clzll(d));
  const size_t bit = bits < 9 ? 9 : bits, bucket = bits < 9 ? 0 : bits - 9 + 1;
  if (bucket >= 40) return 161;  // overflow stands after underflow
  return bucket * 4 + (d >> (bit - 1 - 2)) % 4;
}

size_t counter_of(HistogramForm form, uint64_t d) {
  return form == HistogramForm::kLinear16 ? counter_up_to_1_19(d) : counter_from_1_20(d);
}

class RuntimeHistogram : public ::testing::TestWithParam<HistogramForm> {};

TEST_P(RuntimeHistogram, BoundsRiseAndHoldWhatTheRuntimeCountsThere) {
  const HistogramForm form = GetParam();
  for (size_t i = 0; i < counters(form); ++i) {
    const uint64_t low = lower_bound_ns(form, i), high = lower_bound_ns(form, i + 1);
    ASSERT_LT(low, high) << i;
    EXPECT_EQ(counter_of(form, low), i);
    EXPECT_EQ(counter_of(form, high - 1), i);
  }
}

TEST_P(RuntimeHistogram, ShownBoundsAreEdgesOfTheRuntimesBuckets) {
  const HistogramForm form = GetParam();
  for (size_t k = 0; k < kShownBounds; ++k)
    EXPECT_EQ(lower_bound_ns(form, counter_of(form, shown_bound_ns(k))), shown_bound_ns(k));
}

TEST_P(RuntimeHistogram, EveryDurationIsCountedBelowItsBound) {
  const HistogramForm form = GetParam();
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::vector<uint64_t> words(size_of(form) / 8, 0), expected(kShownBounds + 1, 0);
  double sum = 0;
  for (int i = 0; i < 20'000; ++i) {
    const uint64_t d = random() >> (24 + random() % 40);
    words[counter_of(form, d)]++;
    size_t bucket = 0;
    while (bucket < kShownBounds && d >= shown_bound_ns(bucket)) ++bucket;
    expected[bucket]++;
    sum += static_cast<double>(d) / 1e9;
  }
  const Histogram shown = thin(form, words);
  EXPECT_EQ(shown.counts, expected);
  EXPECT_EQ(shown.total(), observations(words));
  EXPECT_TRUE(shown.sum_is_estimate);
  EXPECT_NEAR(shown.sum, sum, sum / 8);
}

TEST_P(RuntimeHistogram, NegativeDurationsAreInTheLowestBucket) {
  const HistogramForm form = GetParam();
  std::vector<uint64_t> words(size_of(form) / 8, 0);
  words[counters(form)] = 3;
  const Histogram shown = thin(form, words);
  EXPECT_EQ(shown.counts.front(), 3U);
  EXPECT_EQ(shown.sum, 0);
}

INSTANTIATE_TEST_SUITE_P(Forms, RuntimeHistogram, ::testing::Values(HistogramForm::kLinear16, HistogramForm::kLinear4));

TEST(RuntimeHistogramForms, AreToldBySize) {
  EXPECT_EQ(histogram_form(5768), HistogramForm::kLinear16);
  EXPECT_EQ(histogram_form(1296), HistogramForm::kLinear4);
  EXPECT_FALSE(histogram_form(1297));
  EXPECT_FALSE(histogram_form(0));
}

TEST(RuntimeHistogramForms, OverflowIsAboveTheLastBound) {
  std::vector<uint64_t> words(kLinear4Size / 8, 0);
  words[161] = 2;
  const Histogram shown = thin(HistogramForm::kLinear4, words);
  EXPECT_EQ(shown.counts.back(), 2U);
  EXPECT_DOUBLE_EQ(shown.sum, 2 * static_cast<double>(uint64_t{1} << 47) / 1e9);
}

TEST(RuntimeHistogramForms, TooFewWordsCountNothing) {
  EXPECT_EQ(thin(HistogramForm::kLinear4, std::vector<uint64_t>(160, 1)).total(), 0U);
}

}  // namespace
}  // namespace mapshift::observe::go
