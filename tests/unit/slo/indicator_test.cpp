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
  for (const ProgramFigure& figure : program_figures()) {
    EXPECT_TRUE(figures.insert(figure.name).second) << figure.name;
    EXPECT_FALSE(figure.help.empty()) << figure.name;
    EXPECT_TRUE(check_served(program_objective(std::string(figure.name))));
  }
}

TEST(Indicators, WhatIsNotServedIsRefusedByName) {
  for (const IndicatorKind& kind : indicators()) {
    if (kind.served) continue;
    Objective objective = rate_objective();
    objective.indicator = kind.indicator;
    const Status status = check_served(objective);
    ASSERT_FALSE(status) << kind.name;
    EXPECT_EQ(status.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(status.error().message, HasSubstr("\"" + std::string(kind.name) + "\" is not served yet"));
    EXPECT_THAT(status.error().message, HasSubstr("program, map"));
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

  const Status figure = check_served(program_objective("run_time_p99"));
  EXPECT_EQ(figure.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(figure.error().message, HasSubstr("run_time_avg, runs_rate, missed_rate"));
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
