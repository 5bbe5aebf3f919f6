// SPDX-License-Identifier: Apache-2.0
#include "update/objectives.h"

#include <gmock/gmock.h>

namespace mapshift::update {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

MapSpec stats_map() {
  auto number = std::make_shared<Type>();
  number->kind = TypeKind::kInt;
  number->size = 8;
  auto value = std::make_shared<Type>();
  value->kind = TypeKind::kStruct;
  value->size = 16;
  for (const char* name : {"seen", "dropped"}) {
    Member member;
    member.name = name;
    member.bit_offset = static_cast<uint32_t>(value->members.size()) * 64;
    member.type = number;
    value->members.push_back(member);
  }
  MapSpec map;
  map.name = "stats";
  map.type = MapType::kArray;
  map.value_size = 16;
  map.value = value;
  return map;
}

ObjectSpec object() {
  ObjectSpec out;
  out.maps = {stats_map()};
  return out;
}

slo::Objective counter(const std::string& name, const std::string& path) {
  slo::Objective out;
  out.name = name;
  out.counter = path;
  out.max = 1;
  return out;
}

slo::Objective query(const std::string& name, const std::string& text) {
  slo::Objective out;
  out.name = name;
  out.indicator = slo::Indicator::kPromql;
  out.query = text;
  out.max = 1;
  return out;
}

slo::Objective of(slo::Indicator indicator, const std::string& value = "") {
  slo::Objective out;
  out.name = "o";
  out.indicator = indicator;
  out.value = value;
  out.max = 1;
  return out;
}

Manifest manifest_with(std::vector<slo::Objective> objectives) {
  Manifest out;
  out.name = "meter";
  out.analysis = slo::Analysis{};
  out.analysis->objectives = std::move(objectives);
  return out;
}

std::vector<std::string> names(const Judging& judging) {
  std::vector<std::string> out;
  for (const auto& objective : judging.analysis.objectives) out.push_back(objective.name);
  return out;
}

auto code(const char* text) { return Field(&Problem::code, text); }

TEST(Objectives, OfTheManifestMustFitItsModule) {
  const Judging judging = judging_of(manifest_with({counter("good", "stats.seen"), counter("bad", "stats.lost"), counter("worse", "nothing.x")}), {}, {},
                                     object(), {});
  EXPECT_THAT(judging.refusals, ElementsAre(code("unknown-counter"), code("unknown-counter")));
  EXPECT_THAT(judging.refusals[0].where, HasSubstr("analysis.objectives.bad"));
}

TEST(Objectives, OfTheConfigurationAreSkippedWhereTheModuleIsAnother) {
  slo::Objective program = of(slo::Indicator::kProgram, "runs_rate");
  program.name = "program";
  program.program = "enter";
  const Judging judging = judging_of(manifest_with({}), {counter("fits", "stats.seen"), counter("other", "cells.lost"), program}, {}, object(), {"count"});
  EXPECT_THAT(names(judging), ElementsAre("fits"));
  EXPECT_THAT(judging.refusals, IsEmpty());
  EXPECT_THAT(judging.warnings, ElementsAre(code("objective-skipped"), code("objective-skipped")));
  EXPECT_THAT(judging.warnings[0].message, HasSubstr("stats")) << "it says what there is";
}

TEST(Objectives, TheManifestWinsWhereBothUseAName) {
  slo::Objective own = counter("drops", "stats.dropped");
  own.max = 5;
  const Judging judging = judging_of(manifest_with({own}), {counter("drops", "stats.seen"), counter("more", "stats.seen")}, std::chrono::seconds(7), object(), {});
  EXPECT_THAT(names(judging), ElementsAre("drops", "more"));
  EXPECT_EQ(judging.analysis.objectives[0].max, 5);
  EXPECT_EQ(judging.analysis.bake, std::chrono::seconds(7));
}

TEST(Objectives, WhatCannotBeMeasuredOrMetIsRefusedAndWhatJudgesNothingIsSaid) {
  slo::Objective negative = counter("negative", "stats.seen");
  negative.max = -1;
  slo::Objective idle = of(slo::Indicator::kHost, "cpu_share");
  slo::Objective late = query("late", "up");
  late.initial_delay = std::chrono::hours(1);
  const Judging judging = judging_of(manifest_with({negative, idle, late, of(slo::Indicator::kGo), of(slo::Indicator::kVerdict)}), {}, {}, object(), {});
  EXPECT_THAT(judging.refusals, ElementsAre(code("impossible-limit"), code("unserved-indicator"), code("unserved-indicator")));
  EXPECT_THAT(judging.refusals[1].message, HasSubstr("stw_p99, sched_p99, block_p99, goroutines"));
  EXPECT_THAT(judging.refusals[2].message, HasSubstr("name the program to watch"));
  EXPECT_THAT(judging.warnings, ElementsAre(code("toothless-limit"), code("bake-too-short")));
}

TEST(Objectives, SourcesAreAskedBeforeTheUpdateStarts) {
  Sources sources;
  sources.promql = [](const std::string& text) -> Result<std::optional<double>> {
    if (text == "bad(") return fail(ErrorCode::kInvalid, "it refused the query: parse error");
    if (text == "nothing") return std::optional<double>();
    return 1.0;
  };
  Judging judging = judging_of(manifest_with({query("fine", "up"), query("empty", "nothing"), query("broken", "bad("), of(slo::Indicator::kAlert)}), {}, {}, object(), {});
  try_sources(sources, judging);
  EXPECT_THAT(judging.refusals, ElementsAre(code("bad-query"), code("alerts-unavailable")));
  EXPECT_THAT(judging.warnings, ElementsAre(code("no-data-yet")));
}

TEST(Objectives, OfGoProcessesNeedThatTheyAreCaptured) {
  slo::Objective pauses = of(slo::Indicator::kGo, "stw_p99");
  pauses.process = "app";
  slo::Objective absent = of(slo::Indicator::kGo, "goroutines");
  absent.name = "absent";
  absent.process = "nobody";
  Judging judging = judging_of(manifest_with({pauses, absent}), {}, {}, object(), {});
  EXPECT_THAT(judging.refusals, IsEmpty());
  Sources sources;
  sources.go = [](const slo::Objective& objective, uint64_t) -> Result<GoReading> {
    return GoReading{.opens = objective.process == "app"};
  };
  try_sources(sources, judging);
  EXPECT_THAT(judging.refusals, IsEmpty());
  ASSERT_THAT(judging.warnings, ElementsAre(code("no-data-yet"))) << "a process that is not there is no error";
  EXPECT_THAT(judging.warnings[0].message, HasSubstr("\"nobody\""));
  try_sources({}, judging);
  EXPECT_THAT(judging.refusals, ElementsAre(code("go-unavailable"), code("go-unavailable")));
}

TEST(Objectives, APrometheusThatIsDownIsAskedOnceAndSaidOnce) {
  int asked = 0;
  Sources sources;
  sources.promql = [&](const std::string&) -> Result<std::optional<double>> {
    ++asked;
    return fail(ErrorCode::kTimeout, "Prometheus at http://127.0.0.1:9090: no answer within 2000 ms");
  };
  Judging judging = judging_of(manifest_with({query("a", "up"), query("b", "up")}), {}, {}, object(), {});
  try_sources(sources, judging);
  EXPECT_EQ(asked, 1);
  ASSERT_THAT(judging.refusals, ElementsAre(code("prometheus-unavailable")));
  EXPECT_THAT(judging.refusals[0].message, HasSubstr("prometheus.url"));
}

}  // namespace
}  // namespace mapshift::update
