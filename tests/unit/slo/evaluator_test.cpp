// SPDX-License-Identifier: Apache-2.0
#include "slo/evaluator.h"

#include <gmock/gmock.h>

#include <limits>

#include "slo_fixture.h"

namespace mapshift::slo {
namespace {

using ::testing::HasSubstr;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

Outcome outcome_of(const Objective& objective, double value, std::optional<double> baseline = {}) {
  return Evaluator(objective, baseline).evaluate(gauge_at(0, value), "")->outcome;
}

TEST(Evaluator, LimitsAreBrokenOnlyStrictlyBeyond) {
  const Objective max = gauge_objective(10);
  EXPECT_EQ(outcome_of(max, 10), Outcome::kPass);
  EXPECT_EQ(outcome_of(max, 10.0001), Outcome::kFail);
  Objective min = gauge_objective();
  min.max = {};
  min.min = 5;
  EXPECT_EQ(outcome_of(min, 5), Outcome::kPass);
  EXPECT_EQ(outcome_of(min, 4.9999), Outcome::kFail);
  EXPECT_EQ(outcome_of(min, 1e300), Outcome::kPass);
}

TEST(Evaluator, RelativeLimitComparesWithBefore) {
  Objective objective = gauge_objective();
  objective.max = {};
  objective.max_increase = 2.0;
  EXPECT_EQ(outcome_of(objective, 30, 10), Outcome::kPass);
  EXPECT_EQ(outcome_of(objective, 30.1, 10), Outcome::kFail);
  EXPECT_EQ(outcome_of(objective, 0, 0), Outcome::kPass);
  EXPECT_EQ(outcome_of(objective, 0.1, 0), Outcome::kFail);
  EXPECT_EQ(outcome_of(objective, 9, -10), Outcome::kPass);
  EXPECT_EQ(outcome_of(objective, 11, -10), Outcome::kFail);
  EXPECT_EQ(outcome_of(objective, 1), Outcome::kInconclusive);
  EXPECT_EQ(outcome_of(objective, 1, kNan), Outcome::kInconclusive);
}

TEST(Evaluator, EveryLimitOfAnObjectiveCounts) {
  Objective objective = gauge_objective(100);
  objective.min = 1;
  objective.max_increase = 1.0;
  EXPECT_EQ(outcome_of(objective, 20, 10), Outcome::kPass);
  EXPECT_EQ(outcome_of(objective, 21, 10), Outcome::kFail);
  EXPECT_EQ(outcome_of(objective, 101), Outcome::kFail);  // without a baseline the absolute limits still act
  EXPECT_EQ(outcome_of(objective, 0.5), Outcome::kFail);
  EXPECT_EQ(*Evaluator(objective, 10).evaluate(gauge_at(0, 5), "")->limit, 20);
}

TEST(Evaluator, ValuesThatAreNotNumbers) {
  const Objective objective = gauge_objective(10);
  EXPECT_EQ(outcome_of(objective, kNan), Outcome::kInconclusive);
  EXPECT_EQ(outcome_of(objective, kInf), Outcome::kFail);
  EXPECT_EQ(outcome_of(objective, -kInf), Outcome::kInconclusive);
}

TEST(Evaluator, AnObjectiveWithoutALimitNeverPasses) {
  Objective objective = gauge_objective();
  objective.max = {};
  EXPECT_EQ(outcome_of(objective, 1), Outcome::kError);
}

TEST(Evaluator, MeasurementSaysWhatWasCompared) {
  Evaluator evaluator(gauge_objective(10), {});
  const auto fail = evaluator.evaluate(gauge_at(0, 42), "2026-01-01T00:00:00.000Z");
  EXPECT_EQ(fail->objective, "errors");
  EXPECT_EQ(fail->at, "2026-01-01T00:00:00.000Z");
  EXPECT_EQ(*fail->value, 42);
  EXPECT_EQ(*fail->limit, 10);
  EXPECT_EQ(fail->message, "42 is above the limit 10 (max)");
  const auto pass = Evaluator(gauge_objective(10), {}).evaluate(gauge_at(0, 1), "");
  EXPECT_EQ(*pass->limit, 10);
  EXPECT_TRUE(pass->message.empty());
}

TEST(Evaluator, BreachedByMoreFailuresThanTheLimit) {
  Objective objective = gauge_objective(10);
  objective.failure_limit = 2;
  Evaluator evaluator(objective, {});
  int64_t at = 0;
  for (int i = 0; i < 2; i++) {
    (void)evaluator.evaluate(gauge_at(at++, 11), "");
    (void)evaluator.evaluate(gauge_at(at++, 9), "");  // a pass between does not take a failure back
    EXPECT_EQ(evaluator.verdict().standing, Standing::kHolding);
  }
  (void)evaluator.evaluate(gauge_at(at++, 11), "");
  EXPECT_EQ(evaluator.verdict().standing, Standing::kBreached);
  EXPECT_EQ(evaluator.verdict().reason, "11 is above the limit 10 (max); 3 failed, failureLimit is 2");
  for (int i = 0; i < 50; i++) (void)evaluator.evaluate(gauge_at(at++, 0), "");
  EXPECT_EQ(evaluator.verdict().standing, Standing::kBreached);
}

TEST(Evaluator, NoDataHoldsUntilThereIsData) {
  Evaluator evaluator(gauge_objective(), {});
  EXPECT_EQ(evaluator.verdict().standing, Standing::kUnproven);
  (void)evaluator.evaluate(nothing_at(0), "");
  EXPECT_EQ(evaluator.verdict().standing, Standing::kUnproven);
  EXPECT_THAT(evaluator.verdict().reason, HasSubstr("inconclusiveLimit is 0"));
  (void)evaluator.evaluate(gauge_at(1, 1), "");
  EXPECT_EQ(evaluator.verdict().standing, Standing::kHolding);
  (void)evaluator.evaluate(nothing_at(2), "");
  EXPECT_EQ(evaluator.verdict().standing, Standing::kUnproven);
}

TEST(Evaluator, NoDataRollsBackWhenAsked) {
  Objective objective = gauge_objective();
  objective.on_no_data = OnTrouble::kRollback;
  objective.inconclusive_limit = 1;
  Evaluator evaluator(objective, {});
  (void)evaluator.evaluate(nothing_at(0), "");
  EXPECT_NE(evaluator.verdict().standing, Standing::kBreached);
  (void)evaluator.evaluate(nothing_at(1), "");
  EXPECT_EQ(evaluator.verdict().standing, Standing::kBreached);
  EXPECT_THAT(evaluator.verdict().reason, HasSubstr("onNoData is rollback"));
}

TEST(Evaluator, ErrorsCountInARow) {
  for (const OnTrouble policy : {OnTrouble::kHold, OnTrouble::kRollback}) {
    Objective objective = gauge_objective();
    objective.on_error = policy;
    objective.consecutive_error_limit = 1;
    Evaluator evaluator(objective, {});
    (void)evaluator.evaluate(error_at(0), "");
    (void)evaluator.evaluate(gauge_at(1, 1), "");
    (void)evaluator.evaluate(error_at(2), "");
    EXPECT_EQ(evaluator.verdict().standing, Standing::kHolding);
    (void)evaluator.evaluate(error_at(3), "");
    EXPECT_EQ(evaluator.verdict().standing, policy == OnTrouble::kHold ? Standing::kUnproven : Standing::kBreached);
    EXPECT_THAT(evaluator.verdict().reason, HasSubstr("cannot read the map; 2 errors in a row"));
  }
}

TEST(Evaluator, OnErrorDoesNotDecideOverNoDataNorTheOtherWayRound) {
  Objective objective = gauge_objective();
  objective.on_error = OnTrouble::kRollback;
  objective.consecutive_error_limit = 0;
  Evaluator no_data(objective, {});
  (void)no_data.evaluate(nothing_at(0), "");
  EXPECT_EQ(no_data.verdict().standing, Standing::kUnproven);
  objective.on_error = OnTrouble::kHold;
  objective.on_no_data = OnTrouble::kRollback;
  Evaluator error(objective, {});
  (void)error.evaluate(error_at(0), "");
  EXPECT_EQ(error.verdict().standing, Standing::kUnproven);
}

TEST(Evaluator, TooFewSamplesAreInconclusiveEvenBeyondTheLimit) {
  Objective objective = ratio_objective(0.01);
  objective.min_samples = 100;
  Evaluator evaluator(objective, {});
  EXPECT_FALSE(evaluator.evaluate(ratio_at(0, 0, 0), ""));
  const auto small = evaluator.evaluate(ratio_at(1000, 50, 99), "");
  EXPECT_EQ(small->outcome, Outcome::kInconclusive);
  EXPECT_EQ(small->message, "99 samples, fewer than minSamples 100");
  EXPECT_EQ(evaluator.evaluate(ratio_at(2000, 52, 199), "")->outcome, Outcome::kFail);
}

TEST(Evaluator, AResetCostsOneWindowAndNothingElse) {
  Objective objective = rate_objective(10);
  objective.on_no_data = OnTrouble::kRollback;
  Evaluator evaluator(objective, {});
  EXPECT_FALSE(evaluator.evaluate(counter_at(0, 1'000'000), ""));
  EXPECT_EQ(evaluator.evaluate(counter_at(1000, 1'000'005), "")->outcome, Outcome::kPass);
  EXPECT_FALSE(evaluator.evaluate(counter_at(2000, 900'000), ""));
  EXPECT_EQ(*evaluator.evaluate(counter_at(3000, 900'008), "")->value, 8);
  EXPECT_EQ(evaluator.verdict().standing, Standing::kHolding);
}

TEST(Evaluator, AClockThatGoesBackIsAnErrorAndDoesNotSpoilTheNextWindow) {
  Evaluator evaluator(rate_objective(10), {});
  (void)evaluator.evaluate(counter_at(1000, 0), "");
  EXPECT_EQ(evaluator.evaluate(counter_at(500, 100), "")->outcome, Outcome::kError);
  EXPECT_EQ(evaluator.evaluate(counter_at(1000, 100), "")->outcome, Outcome::kError);
  EXPECT_DOUBLE_EQ(*evaluator.evaluate(counter_at(2000, 5), "")->value, 5);
}

TEST(Evaluator, AnErrorBetweenTwoReadingsWidensTheWindow) {
  Evaluator evaluator(rate_objective(10), {});
  (void)evaluator.evaluate(counter_at(0, 0), "");
  EXPECT_EQ(evaluator.evaluate(error_at(1000), "")->outcome, Outcome::kError);
  EXPECT_DOUBLE_EQ(*evaluator.evaluate(counter_at(2000, 10), "")->value, 5);
}

TEST(Evaluator, CountEndsTheMeasuringButOnlyConclusiveOnesCount) {
  Objective objective = gauge_objective();
  objective.count = 2;
  Evaluator evaluator(objective, {});
  (void)evaluator.evaluate(gauge_at(0, 1), "");
  (void)evaluator.evaluate(nothing_at(1), "");
  EXPECT_EQ(evaluator.verdict().standing, Standing::kUnproven);
  (void)evaluator.evaluate(gauge_at(2, 1), "");
  EXPECT_EQ(evaluator.verdict().standing, Standing::kComplete);
}

}  // namespace
}  // namespace mapshift::slo
