// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "slo/rolling_ratio.h"
#include "slo_fixture.h"

namespace mapshift::slo {
namespace {

using ::testing::HasSubstr;

TEST(RollingRatio, CoversWhatThereIsUntilItsLengthIsReached) {
  RollingRatio rolling(ms(10'000));
  EXPECT_EQ(rolling.over().covered, Nanos(0));
  rolling.add(ms(1000), 0, 0);
  EXPECT_EQ(rolling.over().den, 0);
  rolling.add(ms(4000), 3, 30);
  EXPECT_EQ(rolling.over().covered, ms(3000));
  EXPECT_EQ(rolling.over().num, 3);
  for (int64_t at = 5000; at <= 30'000; at += 1000) rolling.add(ms(at), static_cast<double>(at) / 1000, static_cast<double>(at) / 100);
  EXPECT_EQ(rolling.over().covered, ms(10'000));
  EXPECT_DOUBLE_EQ(rolling.over().num, 10);
  EXPECT_DOUBLE_EQ(rolling.over().den, 100);
}

TEST(RollingRatio, IsNeverShorterThanAskedAndHardlyLonger) {
  RollingRatio rolling(std::chrono::minutes(5));
  for (int64_t at = 0; at <= 1'000'000; at += 10) {
    rolling.add(ms(at), 0, static_cast<double>(at));
    if (at < 300'000) continue;
    ASSERT_GE(rolling.over().covered, ms(300'000));
    ASSERT_LE(rolling.over().covered, ms(300'000 + 300'000 / 256 + 20));
  }
}

TEST(RollingRatio, StartsAnewWhenCleared) {
  RollingRatio rolling(ms(1000));
  rolling.add(ms(0), 5, 5);
  rolling.clear();
  rolling.add(ms(10), 1, 1);
  EXPECT_EQ(rolling.over().num, 0);
}

// Counts `good` and `bad` events a second, read once a second.
struct Feed {
  Evaluator evaluator;
  int64_t at = 0;
  double bad_total = 0, total = 0;

  std::optional<Measurement> second(double good, double bad) {
    bad_total += bad;
    total += good + bad;
    at += 1000;
    return evaluator.evaluate(ratio_at(at, bad_total, total), "");
  }
};

TEST(BurnRate, BothWindowsMustBeBeyondTheFactor) {
  Feed feed{Evaluator(burn_objective(ms(60'000), ms(5'000)), {})};
  EXPECT_FALSE(feed.second(100, 0));  // opens the windows
  for (int i = 0; i < 60; ++i) EXPECT_EQ(feed.second(1000, 0)->outcome, Outcome::kPass);
  // A spark: the short window burns 100 times too fast at once, the long one not yet.
  const auto spark = feed.second(900, 100);
  EXPECT_EQ(spark->outcome, Outcome::kPass);
  EXPECT_NEAR(*spark->value, 100.0 / 60'000 / 0.001, 0.1);
  EXPECT_EQ(*spark->limit, 14.4);
  std::optional<Measurement> last;
  int seconds = 0;
  while ((last = feed.second(900, 100))->outcome == Outcome::kPass) ASSERT_LT(++seconds, 60);
  EXPECT_NEAR(seconds, 7, 1);  // 14.4 of 100 for a sixtieth each: nine seconds in all
  EXPECT_EQ(last->outcome, Outcome::kFail);
  EXPECT_THAT(last->message, HasSubstr("above the limit 14.4 (burnRate)"));
  EXPECT_EQ(feed.evaluator.verdict().standing, Standing::kBreached);
}

TEST(BurnRate, WhatIsOverDoesNotFail) {
  Objective objective = burn_objective(ms(60'000), ms(5'000));
  objective.failure_limit = 1000;
  Feed feed{Evaluator(objective, {})};
  (void)feed.second(1, 0);
  for (int i = 0; i < 20; ++i) (void)feed.second(0, 1000);
  for (int i = 0; i < 6; ++i) (void)feed.second(1000, 0);
  EXPECT_EQ(feed.second(1000, 0)->outcome, Outcome::kPass) << "the long window still burns, the short one no more";
}

TEST(BurnRate, WindowsAreShortenedToWhatThereIs) {
  Feed feed{Evaluator(burn_objective(), {})};
  (void)feed.second(1, 0);
  const auto first = feed.second(900, 100);
  EXPECT_EQ(first->outcome, Outcome::kFail);
  EXPECT_NEAR(*first->value, 100, 1e-6);
  EXPECT_THAT(first->message, HasSubstr("over 1s"));
}

TEST(BurnRate, MinSamplesHoldsForEachWindow) {
  Objective objective = burn_objective(ms(60'000), ms(5'000));
  objective.min_samples = 3000;
  objective.inconclusive_limit = 100;
  Feed feed{Evaluator(objective, {})};
  (void)feed.second(1, 0);
  EXPECT_EQ(feed.second(500, 500)->outcome, Outcome::kInconclusive);
  EXPECT_EQ(feed.second(500, 500)->outcome, Outcome::kInconclusive);
  EXPECT_EQ(feed.second(500, 500)->outcome, Outcome::kFail);
}

TEST(BurnRate, NothingCountedIsInconclusiveAndAResetStartsAnew) {
  Feed feed{Evaluator(burn_objective(ms(10'000), ms(2'000)), {})};
  EXPECT_FALSE(feed.second(100, 0));
  EXPECT_EQ(feed.second(0, 0)->outcome, Outcome::kInconclusive);
  EXPECT_EQ(feed.second(100, 0)->outcome, Outcome::kPass);
  feed.bad_total = feed.total = 0;
  EXPECT_FALSE(feed.second(50, 50)) << "a counter that fell opens new windows";
  EXPECT_EQ(feed.second(100, 0)->outcome, Outcome::kPass) << "what was before the reset does not count";
  EXPECT_EQ(feed.evaluator.evaluate(error_at(feed.at + 1000), "")->outcome, Outcome::kError);
}

}  // namespace
}  // namespace mapshift::slo
