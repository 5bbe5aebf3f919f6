// SPDX-License-Identifier: Apache-2.0
#include "slo/analysis.h"

#include <functional>

#include "slo_fixture.h"

namespace mapshift::slo {
namespace {

using Kind = Decision::Kind;

Analysis analysis_of(std::vector<Objective> objectives, Nanos bake = ms(10'000)) {
  Analysis out;
  out.bake = bake;
  out.objectives = std::move(objectives);
  return out;
}

// Runs simulated time in steps of 100 ms until `until` and returns when the decision first was something else than kRunning.
Nanos run(AnalysisRun& analysis, Nanos from, Nanos until, const std::function<Sample(const Objective&, Nanos)>& read) {
  for (Nanos now = from; now <= until; now += ms(100)) {
    for (const size_t index : analysis.due(now)) (void)analysis.feed(index, read(analysis.objective(index), now), "");
    if (analysis.decide(now).kind != Kind::kRunning) return now;
  }
  return until;
}

Sample healthy(const Objective&, Nanos now) { return gauge_at(now / ms(1), 1); }

TEST(AnalysisRun, PassesOnlyWhenTheBakeIsOver) {
  AnalysisRun analysis(analysis_of({gauge_objective()}), {}, ms(5000));
  EXPECT_EQ(run(analysis, ms(5000), ms(60'000), healthy), ms(15'000));
  EXPECT_EQ(analysis.decide(ms(14'999)).kind, Kind::kRunning);
  EXPECT_EQ(analysis.decide(ms(15'000)).kind, Kind::kPassed);
}

TEST(AnalysisRun, CompleteObjectivesDoNotEndTheBake) {
  Objective objective = gauge_objective();
  objective.count = 1;
  AnalysisRun analysis(analysis_of({objective}), {}, Nanos(0));
  (void)analysis.feed(0, gauge_at(0, 1), "");
  EXPECT_EQ(analysis.verdict(0).standing, Standing::kComplete);
  EXPECT_TRUE(analysis.due(ms(9000)).empty());
  EXPECT_EQ(analysis.decide(ms(9999)).kind, Kind::kRunning);
  EXPECT_EQ(analysis.decide(ms(10'000)).kind, Kind::kPassed);
}

TEST(AnalysisRun, ABreachActsAtOnceAndIsFinal) {
  AnalysisRun analysis(analysis_of({gauge_objective(), rate_objective()}), {}, Nanos(0));
  const auto read = [](const Objective& objective, Nanos now) {
    return counter_at(now / ms(1), objective.name == "drops" && now >= ms(3000) ? 1e6 : 1);
  };
  EXPECT_EQ(run(analysis, Nanos(0), ms(60'000), read), ms(3000));
  EXPECT_EQ(analysis.decide(ms(3000)).objective, "drops");
  EXPECT_FALSE(analysis.decide(ms(3000)).reason.empty());
  (void)analysis.feed(0, gauge_at(4000, 1e9), "");
  EXPECT_EQ(analysis.decide(ms(100'000)).kind, Kind::kBreached);
  EXPECT_EQ(analysis.decide(ms(100'000)).objective, "drops");
}

TEST(AnalysisRun, WithoutDataItIsHeldAndGoesOnWhenDataComes) {
  AnalysisRun analysis(analysis_of({ratio_objective()}), {}, Nanos(0));
  const auto idle = [](const Objective&, Nanos now) { return ratio_at(now / ms(1), 0, 500); };
  EXPECT_EQ(run(analysis, Nanos(0), ms(10'000), idle), ms(10'000));
  EXPECT_EQ(analysis.decide(ms(10'000)).kind, Kind::kHeld);
  EXPECT_EQ(analysis.decide(ms(10'000)).objective, "drop-ratio");
  EXPECT_EQ(analysis.due(ms(11'000)), std::vector<size_t>{0});
  (void)analysis.feed(0, ratio_at(11'000, 0, 600), "");
  EXPECT_EQ(analysis.decide(ms(11'000)).kind, Kind::kPassed);
}

TEST(AnalysisRun, AHeldObjectiveCanStillBreach) {
  AnalysisRun analysis(analysis_of({ratio_objective()}), {}, Nanos(0));
  (void)analysis.feed(0, ratio_at(0, 0, 0), "");
  EXPECT_EQ(analysis.decide(ms(10'000)).kind, Kind::kHeld);
  (void)analysis.feed(0, ratio_at(10'500, 9, 10), "");
  EXPECT_EQ(analysis.decide(ms(10'500)).kind, Kind::kBreached);
}

TEST(AnalysisRun, IntervalsAndDelays) {
  Objective own = gauge_objective();
  own.interval = ms(250);
  own.initial_delay = ms(2000);
  AnalysisRun analysis(analysis_of({gauge_objective(), own}), {}, Nanos(0));
  EXPECT_EQ(analysis.due(Nanos(0)), (std::vector<size_t>{0}));
  EXPECT_EQ(analysis.due(ms(2000)), (std::vector<size_t>{0, 1}));
  (void)analysis.feed(0, gauge_at(0, 1), "");
  EXPECT_TRUE(analysis.due(ms(999)).empty());
  EXPECT_EQ(analysis.next_event(Nanos(0)), ms(1000));
  (void)analysis.feed(1, gauge_at(2000, 1), "");
  EXPECT_EQ(analysis.due(ms(2250)), (std::vector<size_t>{0, 1}));
  EXPECT_EQ(analysis.next_event(ms(2200)), ms(2200));  // overdue: now
}

TEST(AnalysisRun, ADelayLongerThanTheBakeHoldsRatherThanPasses) {
  Objective objective = gauge_objective();
  objective.initial_delay = ms(20'000);
  AnalysisRun analysis(analysis_of({objective}), {}, Nanos(0));
  EXPECT_EQ(analysis.decide(ms(10'000)).kind, Kind::kHeld);
  EXPECT_EQ(analysis.next_event(ms(10'000)), ms(20'000));
  (void)analysis.feed(0, gauge_at(20'000, 1), "");
  EXPECT_EQ(analysis.decide(ms(20'000)).kind, Kind::kPassed);
}

TEST(AnalysisRun, AJumpForwardMakesNoBurst) {
  AnalysisRun analysis(analysis_of({gauge_objective()}, ms(1'000'000)), {}, Nanos(0));
  (void)analysis.feed(0, gauge_at(0, 1), "");
  (void)analysis.feed(0, gauge_at(500'300, 1), "");
  EXPECT_TRUE(analysis.due(ms(500'999)).empty());
  EXPECT_EQ(analysis.due(ms(501'000)).size(), 1u);
}

TEST(AnalysisRun, AJumpBackIsAnErrorOutcome) {
  AnalysisRun analysis(analysis_of({gauge_objective()}), {}, Nanos(0));
  (void)analysis.feed(0, gauge_at(5000, 1), "");
  EXPECT_EQ(analysis.feed(0, gauge_at(4000, 1), "")->outcome, Outcome::kError);
  EXPECT_EQ(analysis.decide(ms(4000)).kind, Kind::kRunning);
}

TEST(AnalysisRun, WithoutObjectivesTheBakeStillLasts) {
  AnalysisRun analysis(analysis_of({}), {}, ms(1));
  EXPECT_EQ(analysis.next_event(ms(1)), ms(10'001));
  EXPECT_EQ(analysis.decide(ms(10'000)).kind, Kind::kRunning);
  EXPECT_EQ(analysis.decide(ms(10'001)).kind, Kind::kPassed);
}

TEST(AnalysisRun, ABakeOfZeroAsksForNoJudgement) {
  AnalysisRun analysis(analysis_of({gauge_objective()}, Nanos(0)), {}, ms(7));
  EXPECT_EQ(analysis.decide(ms(7)).kind, Kind::kPassed);
}

TEST(AnalysisRun, BaselinesGoToTheirObjectives) {
  Objective relative = gauge_objective();
  relative.max = {};
  relative.max_increase = 0.5;
  AnalysisRun analysis(analysis_of({relative}), {{"errors", 4.0}, {"other", 100.0}}, Nanos(0));
  EXPECT_EQ(*analysis.feed(0, gauge_at(0, 6.5), "now")->limit, 6.0);
  EXPECT_EQ(analysis.decide(Nanos(0)).kind, Kind::kBreached);
}

TEST(AnalysisRun, HugeDurationsDoNotOverflow) {
  Objective objective = gauge_objective();
  objective.interval = Nanos::max();
  objective.initial_delay = Nanos::max();
  AnalysisRun analysis(analysis_of({objective}, Nanos::max()), {}, ms(1000));
  EXPECT_EQ(analysis.decide(ms(2000)).kind, Kind::kRunning);
  (void)analysis.feed(0, gauge_at(1000, 1), "");
  EXPECT_TRUE(analysis.due(ms(2000)).empty());
}

TEST(AnalysisRun, AReadingThatWasAskedForIsNotDueAgainAndNothingPassesWithoutIt) {
  AnalysisRun analysis(analysis_of({gauge_objective()}, ms(1000)), {}, Nanos(0));
  (void)analysis.feed(0, gauge_at(0, 1), "");
  analysis.asked(0);
  EXPECT_TRUE(analysis.due(ms(5000)).empty());
  EXPECT_EQ(analysis.next_event(ms(5000)), Nanos::max());
  EXPECT_EQ(analysis.decide(ms(5000)).kind, Kind::kRunning) << "the answer may be a breach";
  (void)analysis.feed(0, gauge_at(6000, 1e9), "");
  EXPECT_EQ(analysis.decide(ms(6000)).kind, Kind::kBreached);
}

TEST(AnalysisRun, AReadingThatIsUnderWayDoesNotDelayTheBreachOfAnother) {
  AnalysisRun analysis(analysis_of({gauge_objective(), program_objective("missed_rate")}), {}, Nanos(0));
  analysis.asked(0);
  (void)analysis.feed(1, counter_at(0, 0), "");
  (void)analysis.feed(1, counter_at(1000, 1e6), "");
  EXPECT_EQ(analysis.decide(ms(1000)).kind, Kind::kBreached);
}

TEST(AnalysisRun, IntervalsOfTenMillisecondsAreKept) {
  Objective objective = gauge_objective();
  objective.interval = ms(10);
  AnalysisRun analysis(analysis_of({objective}, ms(1000)), {}, Nanos(0));
  int readings = 0;
  for (int64_t at = 0; at < 1000; ++at) {
    for (const size_t index : analysis.due(ms(at))) {
      (void)analysis.feed(index, gauge_at(at, 1), "");
      ++readings;
    }
  }
  EXPECT_EQ(readings, 100);
}

}  // namespace
}  // namespace mapshift::slo
