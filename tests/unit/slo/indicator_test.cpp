// SPDX-License-Identifier: Apache-2.0
#include "slo/indicator.h"

#include <gmock/gmock.h>

#include <set>

#include "slo_fixture.h"

namespace mapshift::slo {
namespace {

using ::testing::HasSubstr;

TEST(Indicators, TableIsUniqueAndDocumented) {
  std::set<std::string_view> names;
  for (const IndicatorKind& kind : indicators()) {
    EXPECT_TRUE(names.insert(kind.name).second) << kind.name;
    EXPECT_FALSE(kind.help.empty()) << kind.name;
    EXPECT_EQ(name_of(kind.indicator), kind.name);
  }
  EXPECT_EQ(names.size(), 8u);
  std::set<std::string_view> figures;
  for (const Figure& figure : slo::figures()) {
    EXPECT_TRUE(figures.insert(figure.name).second) << figure.name;
    EXPECT_FALSE(figure.help.empty()) << figure.name;
    Objective objective = figure_objective(figure.indicator, std::string(figure.name));
    if (figure.of_interface) {
      EXPECT_THAT(check_served(objective).error().message, HasSubstr("interface")) << figure.name;
      objective.interface = "lo";
    }
    if (figure.of_reason) {
      EXPECT_THAT(check_served(objective).error().message, HasSubstr("reason")) << figure.name;
      objective.reason = "select";
    }
    EXPECT_TRUE(check_served(objective)) << figure.name;
    EXPECT_EQ(figure_of(objective), &figure);
    EXPECT_EQ(reading_of(objective), figure.reading);
  }
  // Each indicator's figures stand together, so that figures(indicator) finds them all.
  size_t found = 0;
  for (const IndicatorKind& kind : indicators()) found += slo::figures(kind.indicator).size();
  EXPECT_EQ(found, slo::figures().size());
}

TEST(Indicators, WhatIsNotServedIsRefusedByName) {
  for (const IndicatorKind& kind : indicators()) {
    if (kind.served()) continue;
    Objective objective = rate_objective();
    objective.indicator = kind.indicator;
    const Status status = check_served(objective);
    ASSERT_FALSE(status) << kind.name;
    EXPECT_EQ(status.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(status.error().message, HasSubstr("\"" + std::string(kind.name) + "\" is not served: " + std::string(kind.missing)));
    EXPECT_THAT(status.error().message, HasSubstr("program, map, migration, go, host, promql, alert"));
  }
}

TEST(Indicators, MembersThatAreMissingAreNamed) {
  EXPECT_TRUE(check_served(ratio_objective()));
  EXPECT_TRUE(check_served(rate_objective()));

  Objective no_limit = rate_objective();
  no_limit.max = {};
  EXPECT_EQ(check_served(no_limit).error().code, ErrorCode::kInvalid);

  Objective both = ratio_objective();
  both.counter = "stats.dropped";
  EXPECT_EQ(check_served(both).error().code, ErrorCode::kInvalid);

  Objective half = ratio_objective();
  half.ratio_den.clear();
  EXPECT_EQ(check_served(half).error().code, ErrorCode::kInvalid);

  Objective unnamed = program_objective("run_time_avg");
  unnamed.program.clear();
  EXPECT_EQ(check_served(unnamed).error().code, ErrorCode::kInvalid);

  Objective nobody = figure_objective(Indicator::kGo, "goroutines");
  nobody.process.clear();
  EXPECT_THAT(check_served(nobody).error().message, HasSubstr("process"));

  const Status figure = check_served(program_objective("run_time_p99"));
  EXPECT_EQ(figure.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(figure.error().message, HasSubstr("run_time_avg, runs_rate, missed_rate"));
}

TEST(Indicators, ABurnRateNeedsARatioOfEventsAndStandsAlone) {
  EXPECT_TRUE(check_served(burn_objective()));
  const auto refused = [](Objective objective) { return !check_served(objective).has_value(); };
  Objective objective = burn_objective();
  objective.max = 1;
  EXPECT_TRUE(refused(objective));
  objective = burn_objective();
  objective.ratio_num = objective.ratio_den = "";
  objective.counter = "stats.dropped";
  EXPECT_TRUE(refused(objective));
  objective = program_objective("run_time_avg");  // a ratio, but of seconds
  objective.max = {};
  objective.burn_rate = BurnRate{};
  EXPECT_TRUE(refused(objective));
  for (const double share : {0.0, 1.0, 1.5, -1.0}) {
    objective = burn_objective();
    objective.burn_rate->objective = share;
    EXPECT_TRUE(refused(objective)) << share;
  }
  objective = burn_objective();
  objective.burn_rate->short_window = objective.burn_rate->long_window;
  EXPECT_TRUE(refused(objective));
  objective = burn_objective();
  objective.burn_rate->factor = 0;
  EXPECT_TRUE(refused(objective));
}

TEST(Indicators, ReadingFollowsTheObjective) {
  EXPECT_EQ(reading_of(ratio_objective()), Reading::kRatio);
  EXPECT_EQ(reading_of(rate_objective()), Reading::kRate);
  EXPECT_EQ(reading_of(gauge_objective()), Reading::kGauge);
  EXPECT_EQ(reading_of(program_objective("run_time_avg")), Reading::kRatio);
  EXPECT_EQ(reading_of(program_objective("missed_rate")), Reading::kRate);
}

TEST(Indicators, DescribeReadsAsASentence) {
  Objective objective = ratio_objective();
  objective.failure_limit = 2;
  EXPECT_EQ(describe(objective),
            "drop-ratio: stats.dropped / stats.seen must stay at or below 0.01; breached by more than 2 failures");
  EXPECT_EQ(describe(burn_objective()),
            "drop-ratio: stats.dropped / stats.seen must stay at or below a burn rate of 14.4 over 1h and 5m, for an objective of 99.9 %; "
            "breached by the first failure");
  Objective drops = figure_objective(Indicator::kHost, "drops_rate");
  drops.interface = "eth0";
  EXPECT_EQ(describe(drops), "figure: drops_rate of eth0 must stay at or below 1; breached by the first failure");
  EXPECT_EQ(describe(figure_objective(Indicator::kMigration, "conflicts")),
            "figure: conflicts of the migration must stay at or below 1; breached by the first failure");
  Objective relative = program_objective("run_time_avg");
  relative.max = {};
  relative.max_increase = 2.0;
  EXPECT_EQ(describe(relative),
            "program: run_time_avg of count_packets must stay within 200 % above its value before the update; "
                                "breached by the first failure");
}

TEST(Indicators, OutcomesHaveTheNamesOfTheContract) {
  EXPECT_EQ(name_of(Outcome::kPass), "pass");
  EXPECT_EQ(name_of(Outcome::kFail), "fail");
  EXPECT_EQ(name_of(Outcome::kInconclusive), "inconclusive");
  EXPECT_EQ(name_of(Outcome::kError), "error");
}

}  // namespace
}  // namespace mapshift::slo
