// SPDX-License-Identifier: Apache-2.0
#include "metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

#include "change_stats.h"
#include "go_report.h"
#include "metrics/names.h"

namespace mapshift::metrics {
namespace {

using testing::HasSubstr;
using testing::Not;

void fill(Metrics& metrics) {
  metrics.set_module("flowmeter", 2, "2.0.0", "abc", "u-000001");
  metrics.update_phase("flowmeter", "baking");
  metrics.phase_finished("loading", 0.2);
  metrics.update_finished("flowmeter", "committed", 61);
  metrics.rolled_back("flowmeter", "objective");
  metrics.update_interrupted(0);
  metrics.mixed_window(0.01);
  metrics.set_migration("flowmeter", "flows", "u-000001", {0.5, 0.001, 3, 10, 4, 2, 1, 0});
  metrics.pass_finished(0.3);
  metrics.set_consistency("flowmeter", "flows", 0, 1, 1.7e9);
  metrics.set_map_usage("flowmeter", {{"flows", {100, 4096}}});
  metrics.set_program("flowmeter", "count_packets", {7, 1.5, 100, 0});
  metrics.set_generation("flowmeter", "count_packets", 2, 100, 2e-7);
  metrics.set_objective("flowmeter", "drop-ratio", 0.5, 0.01, true);
  metrics.measured("flowmeter", "drop-ratio", "fail");
  metrics.http_request("metrics", 200, 0.001);
}

// The value of one series, written as "name{label=\"value\"}"; NaN when there is none.
double value(Metrics& metrics, const std::string& series) {
  std::istringstream lines(metrics.serialise());
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(series + " ")) return std::stod(line.substr(series.size() + 1));
  return std::nan("");
}

TEST(Metrics, ShowsEachMetricOfTheTable) {
  Metrics metrics("1.2.3");
  fill(metrics);
  metrics.alert_received("accepted");
  metrics.set_alerting(true, false);
  metrics.set_go_processes({full_go_report()}, 1);
  metrics.set_changes(one_followed_map());
  metrics.set_rings({{{"flowmeter", "events"}, 5, 40, 1, 8, 4096}});
  metrics.set_kept_maps({{{"flowmeter", "flows"}, 1}});
  const std::string text = metrics.serialise();
  for (const Metric& metric : kMetrics) {
    SCOPED_TRACE(metric.name);
    const char* kind = metric.kind == Kind::kGauge ? "gauge" : metric.kind == Kind::kCounter ? "counter" : "histogram";
    EXPECT_THAT(text, HasSubstr("# HELP " + std::string(metric.name) + " " + std::string(metric.help) + "\n"));
    EXPECT_THAT(text, HasSubstr("# TYPE " + std::string(metric.name) + " " + kind + "\n"));
    EXPECT_TRUE(std::regex_search(text, std::regex("\n" + std::string(metric.name) + "(_count)?[ {]")));
  }
}

TEST(Metrics, WritesWhatPrometheusReads) {
  Metrics metrics("1.2.3");
  fill(metrics);
  metrics.set_map_usage("a\"b\\c\xFF\n", {{"\xE2\x82\xAC", {1, 2}}});
  const std::regex comment(R"(# (HELP|TYPE) [a-z_]+ .+)");
  const std::regex sample(R"re([a-z_]+(\{([a-z_]+="([^"\\]|\\["\\n])*",?)+\})? (-?[0-9.]+(e[-+][0-9]+)?|\+Inf|NaN))re");
  std::set<std::string> seen;
  const std::string text = metrics.serialise();
  EXPECT_EQ(text.back(), '\n');
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_TRUE(std::regex_match(line, line.starts_with('#') ? comment : sample)) << line;
    EXPECT_TRUE(seen.insert(line.substr(0, line.rfind(' '))).second || line.starts_with('#')) << "twice: " << line;
  }
}

TEST(Metrics, StartsTheSeriesOfAModuleAtZero) {
  Metrics metrics("1");
  metrics.set_module("m", 1, "1.0", "d", "");
  for (std::string_view result : kResults)
    EXPECT_EQ(value(metrics, "mapshift_updates_total{module=\"m\",result=\"" + std::string(result) + "\"}"), 0);
  for (std::string_view trigger : kTriggers)
    EXPECT_EQ(value(metrics, "mapshift_rollbacks_total{module=\"m\",trigger=\"" + std::string(trigger) + "\"}"), 0);
  for (std::string_view phase : kPhases)
    EXPECT_EQ(value(metrics, "mapshift_update_phase{module=\"m\",phase=\"" + std::string(phase) + "\"}"), 0);
  metrics.update_phase("m", "syncing");
  metrics.set_module("m", 2, "2.0", "d", "u-1");
  EXPECT_EQ(value(metrics, R"(mapshift_update_phase{module="m",phase="syncing"})"), 1) << "a swap must not end the phase";
}

TEST(Metrics, KeepsOneInfoSeriesForEachModule) {
  Metrics metrics("1");
  metrics.set_module("m", 1, "1.0", "d1", "");
  metrics.set_module("m", 2, "2.0", "d2", "u-000001");
  const std::string text = metrics.serialise();
  EXPECT_THAT(text, Not(HasSubstr("generation=\"1\"")));
  EXPECT_THAT(text, HasSubstr("generation=\"2\""));
}

TEST(Metrics, ProgramCountersContinueAcrossGenerations) {
  Metrics metrics("1");
  const std::string runs = R"(mapshift_program_runs_total{module="m",program="p"})";
  metrics.set_program("m", "p", {10, 1.0, 100, 1});
  metrics.set_program("m", "p", {10, 2.0, 150, 1});
  EXPECT_EQ(value(metrics, runs), 150);
  metrics.set_program("m", "p", {11, 0.5, 20, 0});  // the next generation
  EXPECT_EQ(value(metrics, runs), 170);
  metrics.set_program("m", "p", {10, 2.0, 160, 1});  // rolled back
  EXPECT_EQ(value(metrics, runs), 180);
  metrics.set_program("m", "p", {10, 2.0, 30, 1});  // the same id, from the start
  EXPECT_EQ(value(metrics, runs), 210);
  EXPECT_EQ(value(metrics, R"(mapshift_program_run_seconds_total{module="m",program="p"})"), 2.5);
}

TEST(Metrics, MigrationCountersAddUpOverUpdates) {
  Metrics metrics("1");
  const std::string added = R"(mapshift_migration_keys_total{map="a",module="m",op="added"})";
  MigrationTotals totals;
  totals.added = 5;
  metrics.set_migration("m", "a", "u-1", totals);
  metrics.set_migration("m", "a", "u-1", totals);
  EXPECT_EQ(value(metrics, added), 5);
  totals.added = 3;
  metrics.set_migration("m", "a", "u-2", totals);
  EXPECT_EQ(value(metrics, added), 8);
}

TEST(Metrics, RemovesOneModuleOnly) {
  Metrics metrics("1");
  fill(metrics);
  metrics.set_module("other", 1, "1", "d", "");
  metrics.remove_module("flowmeter");
  EXPECT_THAT(metrics.serialise(), Not(HasSubstr("flowmeter")));
  EXPECT_THAT(metrics.serialise(), HasSubstr("other"));
  metrics.set_program("flowmeter", "count_packets", {7, 1.5, 100, 0});
  metrics.set_generation("flowmeter", "count_packets", 2, 100, 2e-7);
  EXPECT_EQ(value(metrics, R"(mapshift_program_runs_total{module="flowmeter",program="count_packets"})"), 100);
}

TEST(Metrics, RemovesAMapAProgramAnObjective) {
  Metrics metrics("1");
  fill(metrics);
  metrics.remove_map("flowmeter", "flows");
  metrics.remove_program("flowmeter", "count_packets");
  metrics.remove_objective("flowmeter", "drop-ratio");
  const std::string text = metrics.serialise();
  for (const char* gone : {"flows", "count_packets", "drop-ratio"}) EXPECT_THAT(text, Not(HasSubstr(gone)));
  EXPECT_THAT(text, HasSubstr("flowmeter"));
}

TEST(Metrics, ForgetsMapsThatAreGone) {
  Metrics metrics("1");
  metrics.set_map_usage("m", {{"ct3", {1, 2}}, {"ring", {std::nullopt, 3}}});
  metrics.set_map_usage("n", {{"ct3", {4, 5}}});
  metrics.set_map_usage("m", {{"ct4", {6, 7}}});
  const std::string text = metrics.serialise();
  EXPECT_THAT(text, Not(HasSubstr("ring")));
  EXPECT_THAT(text, Not(HasSubstr("map=\"ct3\",module=\"m\"")));
  EXPECT_THAT(text, HasSubstr("map=\"ct4\",module=\"m\""));
  EXPECT_THAT(text, HasSubstr("map=\"ct3\",module=\"n\""));
}

TEST(Metrics, CollectsOnceForEachScrape) {
  Metrics metrics("1");
  int runs = 0;
  metrics.set_collector([&](Metrics& self) {
    ++runs;
    self.set_map_usage("m", {{"a", {1, 1}}});
  });
  EXPECT_THAT(metrics.serialise(), HasSubstr("mapshift_map_entries"));
  EXPECT_EQ(runs, 1);
  metrics.set_collector({});
  (void)metrics.serialise();
  EXPECT_EQ(runs, 1);
}

TEST(Metrics, BoundsTheNumberOfSeries) {
  Metrics metrics("1");
  metrics.set_consistency("m", "first", 0, 1, 1);
  const std::string before = metrics.serialise();  // histograms start at 0 with all their buckets
  for (int i = 0; i < 6000; ++i) metrics.set_consistency("m", "map" + std::to_string(i), 0, 1, 1);
  EXPECT_GT(value(metrics, "mapshift_metrics_series_dropped_total"), 1000);
  const std::string text = metrics.serialise();
  EXPECT_LE(std::count(text.begin(), text.end(), '\n') - std::count(before.begin(), before.end(), '\n'), 5000);
  metrics.remove_module("m");
  metrics.set_map_usage("n", {{"a", {3, 4}}});
  EXPECT_THAT(metrics.serialise(), HasSubstr("module=\"n\""));
}

TEST(Metrics, ReportsTheProcess) {
  Metrics metrics("1");
  EXPECT_GT(value(metrics, "process_resident_memory_bytes"), 1e5);
  EXPECT_GT(value(metrics, "process_open_fds"), 2);
  EXPECT_GE(value(metrics, "process_max_fds"), value(metrics, "process_open_fds"));
  const double start = value(metrics, "process_start_time_seconds");
  EXPECT_NEAR(start, static_cast<double>(::time(nullptr)), 600);
  EXPECT_GE(value(metrics, "process_cpu_seconds_total"), 0);
}

TEST(Metrics, ServesManyThreads) {
  Metrics metrics("1");
  metrics.set_collector([](Metrics& self) { self.set_map_usage("m", {{"a", {1, 1}}}); });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&metrics, t] {
      for (int i = 0; i < 50; ++i) {
        metrics.http_request("h", 200, 0.01);
        metrics.set_program("m", "p", {static_cast<uint32_t>(t), 1.0, static_cast<uint64_t>(i), 0});
        if (i % 10 == 0) (void)metrics.serialise();
        if (t == 0) metrics.remove_module("m");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(value(metrics, R"(mapshift_http_requests_total{code="200",handler="h"})"), 200);
}

}  // namespace
}  // namespace mapshift::metrics
