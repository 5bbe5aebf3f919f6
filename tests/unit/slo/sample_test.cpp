// SPDX-License-Identifier: Apache-2.0
#include "slo/sample.h"

#include <cmath>
#include <limits>

#include "slo_fixture.h"

namespace mapshift::slo {
namespace {

using Kind = Window::Kind;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

TEST(Windows, RateIsIncrementASecond) {
  const Sample before = counter_at(1000, 100);
  const Window window = window_of(Reading::kRate, &before, counter_at(1500, 130));
  ASSERT_EQ(window.kind, Kind::kValue);
  EXPECT_DOUBLE_EQ(window.value, 60);
  EXPECT_DOUBLE_EQ(window.samples, 30);
}

TEST(Windows, RatioIsIncrementOverIncrement) {
  const Sample before = ratio_at(0, 10, 1000);
  const Window window = window_of(Reading::kRatio, &before, ratio_at(1000, 12, 1100));
  ASSERT_EQ(window.kind, Kind::kValue);
  EXPECT_DOUBLE_EQ(window.value, 0.02);
  EXPECT_DOUBLE_EQ(window.samples, 100);
}

TEST(Windows, SamplesOfTheSourceAreACounterToo) {
  Sample before = counter_at(0, 0), now = counter_at(1000, 3);
  before.samples = 50;
  now.samples = 80;
  EXPECT_DOUBLE_EQ(window_of(Reading::kRate, &before, now).samples, 30);
}

TEST(Windows, FirstReadingOnlyOpens) {
  const Window window = window_of(Reading::kRate, nullptr, counter_at(0, 7));
  EXPECT_EQ(window.kind, Kind::kFirst);
  EXPECT_TRUE(window.opens);
}

TEST(Windows, AGaugeWhoseSourceComparesOnlyOpensAtFirst) {
  Sample first;
  first.at = ms(1000);
  first.opens = true;
  EXPECT_EQ(window_of(Reading::kGauge, nullptr, first).kind, Kind::kFirst);
  first.opens = false;
  EXPECT_EQ(window_of(Reading::kGauge, nullptr, first).kind, Kind::kNoData);
  first.value = 3;
  EXPECT_EQ(window_of(Reading::kGauge, nullptr, first).kind, Kind::kValue);
}

TEST(Windows, ACounterThatWentBackOpensAnewInsteadOfGuessing) {
  const Sample rate = counter_at(0, 1'000'000), ratio = ratio_at(0, 5, 100);
  EXPECT_EQ(window_of(Reading::kRate, &rate, counter_at(1000, 999'999)).kind, Kind::kFirst);
  EXPECT_EQ(window_of(Reading::kRatio, &ratio, ratio_at(1000, 4, 200)).kind, Kind::kFirst);
  EXPECT_EQ(window_of(Reading::kRatio, &ratio, ratio_at(1000, 6, 99)).kind, Kind::kFirst);
}

TEST(Windows, NothingCountedIsNoDataButOpensTheNext) {
  const Sample before = ratio_at(0, 5, 100);
  const Window window = window_of(Reading::kRatio, &before, ratio_at(1000, 5, 100));
  EXPECT_EQ(window.kind, Kind::kNoData);
  EXPECT_TRUE(window.opens);
}

TEST(Windows, AbsentReadingsAreNoData) {
  const Sample before = counter_at(0, 1);
  for (const Reading reading : {Reading::kGauge, Reading::kRate, Reading::kRatio}) {
    const Window window = window_of(reading, &before, nothing_at(1000));
    EXPECT_EQ(window.kind, Kind::kNoData);
    EXPECT_FALSE(window.opens);
  }
  Sample half = nothing_at(1000);
  half.num = 3;
  EXPECT_EQ(window_of(Reading::kRatio, nullptr, half).kind, Kind::kNoData);
}

TEST(Windows, CountersThatMakeNoSenseAreTrouble) {
  for (const double wrong : {kNan, kInf, -kInf, -1.0}) {
    EXPECT_EQ(window_of(Reading::kRate, nullptr, counter_at(0, wrong)).kind, Kind::kTrouble) << wrong;
    EXPECT_EQ(window_of(Reading::kRatio, nullptr, ratio_at(0, wrong, 1)).kind, Kind::kTrouble) << wrong;
    EXPECT_EQ(window_of(Reading::kRatio, nullptr, ratio_at(0, 1, wrong)).kind, Kind::kTrouble) << wrong;
    Sample samples = counter_at(0, 1);
    samples.samples = wrong;
    EXPECT_EQ(window_of(Reading::kRate, nullptr, samples).kind, Kind::kTrouble) << wrong;
  }
}

TEST(Windows, TimeMustAdvance) {
  for (const Reading reading : {Reading::kGauge, Reading::kRate}) {
    const Sample before = counter_at(1000, 1);
    EXPECT_EQ(window_of(reading, &before, counter_at(999, 2)).kind, Kind::kTrouble);
    EXPECT_EQ(window_of(reading, &before, counter_at(1000, 2)).kind, Kind::kTrouble);
    EXPECT_EQ(window_of(reading, &before, counter_at(86'400'000, 2)).kind, Kind::kValue);
  }
}

TEST(Windows, AnErrorWinsOverWhatElseTheSampleHolds) {
  Sample sample = error_at(0, "gone");
  sample.value = 1;
  const Window window = window_of(Reading::kGauge, nullptr, sample);
  EXPECT_EQ(window.kind, Kind::kTrouble);
  EXPECT_EQ(window.message, "gone");
}

TEST(Baseline, RateOverTheWholeTimeWithoutResetsAndErrors) {
  const std::vector<Sample> readings{counter_at(0, 0),     counter_at(1000, 10), error_at(2000),
                                     counter_at(3000, 30), counter_at(4000, 5),  counter_at(5000, 15)};
  // 10 in 1 s, 20 in 2 s, a reset, 10 in 1 s.
  EXPECT_DOUBLE_EQ(*baseline_of(rate_objective(), readings), 10);
}

TEST(Baseline, RatioIsWeightedByWhatWasCounted) {
  const std::vector<Sample> readings{ratio_at(0, 0, 0), ratio_at(1000, 1, 10), ratio_at(2000, 1, 10), ratio_at(3000, 2, 100)};
  EXPECT_DOUBLE_EQ(*baseline_of(ratio_objective(), readings), 0.02);
}

TEST(Baseline, GaugeIsTheMedianOfWhatIsFinite) {
  const Objective objective = gauge_objective();
  const std::vector<Sample> odd{gauge_at(0, 9), gauge_at(1, kNan), gauge_at(2, 1), gauge_at(3, 2)};
  EXPECT_DOUBLE_EQ(*baseline_of(objective, odd), 2);
  EXPECT_DOUBLE_EQ(*baseline_of(objective, std::vector<Sample>{gauge_at(0, 4), gauge_at(1, kInf), gauge_at(2, 2)}), 3);
}

TEST(Baseline, NoDataOrTooLittleIsNone) {
  EXPECT_FALSE(baseline_of(rate_objective(), {}));
  EXPECT_FALSE(baseline_of(rate_objective(), std::vector<Sample>{counter_at(0, 1)}));
  EXPECT_FALSE(baseline_of(ratio_objective(), std::vector<Sample>{ratio_at(0, 1, 5), ratio_at(1000, 1, 5)}));
  EXPECT_FALSE(baseline_of(gauge_objective(), std::vector<Sample>{error_at(0), nothing_at(1)}));
  Objective strict = ratio_objective();
  strict.min_samples = 100;
  EXPECT_FALSE(baseline_of(strict, std::vector<Sample>{ratio_at(0, 0, 0), ratio_at(1000, 1, 99)}));
  EXPECT_TRUE(baseline_of(strict, std::vector<Sample>{ratio_at(0, 0, 0), ratio_at(1000, 1, 100)}));
}

}  // namespace
}  // namespace mapshift::slo
