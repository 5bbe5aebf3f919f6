// SPDX-License-Identifier: Apache-2.0
#include "slo/limits.h"

#include <gmock/gmock.h>

#include "slo_fixture.h"

namespace mapshift::slo {
namespace {

using ::testing::HasSubstr;

TEST(Limits, WhatNoValueCanMeetIsSaid) {
  EXPECT_FALSE(impossible(ratio_objective(0)));
  EXPECT_THAT(impossible(ratio_objective(-0.1)).value_or(""), HasSubstr("max -0.1 can never be met"));
  EXPECT_THAT(impossible(rate_objective(-1)).value_or(""), HasSubstr("never below 0"));
  EXPECT_FALSE(impossible(gauge_objective(-5))) << "a query may give anything";
  Objective share = figure_objective(Indicator::kHost, "cpu_share");
  share.max = {};
  share.min = 1.5;
  EXPECT_THAT(impossible(share).value_or(""), HasSubstr("cpu_share is never above 1"));
  Objective crossed = gauge_objective(1);
  crossed.min = 2;
  EXPECT_THAT(impossible(crossed).value_or(""), HasSubstr("no value can pass"));
}

TEST(Limits, WhatNoValueCanBreakIsSaid) {
  Objective share = figure_objective(Indicator::kHost, "softirq_share");
  EXPECT_THAT(toothless(share).value_or(""), HasSubstr("from 0 to 1"));
  share.max = 0.5;
  EXPECT_FALSE(toothless(share));
  share.max = 1;
  share.max_increase = 2;
  EXPECT_FALSE(toothless(share));
  EXPECT_FALSE(toothless(rate_objective(1e12)));
  Objective low = rate_objective();
  low.max = {};
  low.min = 0;
  EXPECT_TRUE(toothless(low));
  EXPECT_FALSE(toothless(burn_objective()));
  Objective burn = burn_objective();
  burn.burn_rate->objective = 0.9;
  EXPECT_THAT(toothless(burn).value_or(""), HasSubstr("at most 10 times too fast"));
}

TEST(Limits, ABakeThatEndsBeforeTheFirstValueIsSaid) {
  Analysis analysis;
  analysis.bake = std::chrono::seconds(10);
  Objective objective = gauge_objective();
  EXPECT_FALSE(too_late(objective, analysis));
  objective.initial_delay = std::chrono::seconds(10);
  EXPECT_THAT(too_late(objective, analysis).value_or(""), HasSubstr("held"));
  Objective counter = rate_objective();
  counter.interval = std::chrono::seconds(11);
  EXPECT_TRUE(too_late(counter, analysis));
  counter.interval = std::chrono::seconds(10);
  EXPECT_FALSE(too_late(counter, analysis));
  analysis.bake = Nanos(0);
  EXPECT_FALSE(too_late(objective, analysis)) << "nothing is judged at all";
}

}  // namespace
}  // namespace mapshift::slo
