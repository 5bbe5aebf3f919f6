// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "go_target.h"
#include "kernel_test.h"
#include "observe/go/process.h"

// What is read from outside is what the target's own runtime/metrics says: bucket for bucket.
namespace mapshift::observe::go::test {
namespace {

class GoFigures : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { MS_SKIP_FOR(mapshift::test::missing_privilege()); }
};

Histogram thinned(const std::map<double, uint64_t>& own) {
  Histogram out;
  out.counts.assign(kShownBounds + 1, 0);
  for (const auto& [edge, count] : own) {
    size_t bucket = 0;
    while (bucket < kShownBounds && edge >= static_cast<double>(shown_bound_ns(bucket))) ++bucket;
    out.counts[bucket] += count;
  }
  return out;
}

std::map<double, uint64_t> by_edge(HistogramForm form, const std::vector<uint64_t>& words) {
  std::map<double, uint64_t> out;
  for (size_t i = 0; i < counters(form); ++i)
    if (words[i] > 0) out[static_cast<double>(lower_bound_ns(form, i))] = words[i];
  return out;
}

struct Compared {
  const char* metric;
  Figures::Which which;
};

std::vector<Compared> compared(const GoTarget::Own& own) {
  std::vector<Compared> out = {{"/sched/latencies:seconds", Figures::kSched}};
  if (own.histograms.contains("/sched/pauses/total/gc:seconds")) {
    out.push_back({"/sched/pauses/total/gc:seconds", Figures::kTotalGc});
    out.push_back({"/sched/pauses/total/other:seconds", Figures::kTotalOther});
    out.push_back({"/sched/pauses/stopping/gc:seconds", Figures::kStoppingGc});
    out.push_back({"/sched/pauses/stopping/other:seconds", Figures::kStoppingOther});
  } else {
    out.push_back({"/gc/pauses:seconds", Figures::kTotalGc});
  }
  return out;
}

Histogram shown(const ProcessReport& report, Figures::Which which) {
  const auto of = [](const auto& map, const char* kind) { return map.contains(kind) ? map.at(kind) : Histogram{}; };
  switch (which) {
    case Figures::kSched: return report.sched_latency;
    case Figures::kTotalGc: return of(report.stw_pause, "gc");
    case Figures::kTotalOther: return of(report.stw_pause, "other");
    case Figures::kStoppingGc: return of(report.stw_stopping, "gc");
    case Figures::kStoppingOther: return of(report.stw_stopping, "other");
  }
  return {};
}

void busy(GoTarget& target) {
  target.ask("gc 5");
  target.ask("stop 7");
  target.ask("spin 40");
  target.ask("park sleep 30");
}

// The same twice, with the reading from outside in between: then the program was quiet meanwhile.
GoTarget::Own quiet(GoTarget& target, const std::function<void()>& read) {
  GoTarget::Own before = target.figures();
  for (int tries = 0; tries < 40; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    read();
    GoTarget::Own after = target.figures();
    if (after == before) return after;
    before = std::move(after);
  }
  ADD_FAILURE() << "the program is never quiet";
  return before;
}

TEST_P(GoFigures, RawCountersAreTheRuntimesOwn) {
  GoTarget target(GetParam());
  busy(target);
  const auto file = open_file(executable_link(target.pid()));
  ASSERT_TRUE(file);
  const auto binary = analyse(file->get());
  ASSERT_TRUE(binary) << binary.error().message;
  const auto image = image_of(target.pid());
  const auto bias = load_bias(*image, file->get());
  ASSERT_TRUE(bias) << bias.error().message;
  Result<Figures> figures = fail(ErrorCode::kInternal, "not read");
  const auto own = quiet(target, [&] { figures = read_figures(Memory(target.pid()), *binary, *bias); });
  ASSERT_TRUE(figures) << figures.error().message;
  const auto form = histogram_form(binary->layout.histogram_size);
  for (const Compared& c : compared(own)) {
    ASSERT_TRUE(figures->histograms[c.which]) << c.metric;
    EXPECT_EQ(by_edge(*form, *figures->histograms[c.which]), own.histograms.at(c.metric)) << c.metric;
  }
}

TEST_P(GoFigures, ReportIsWhatTheRuntimeSays) {
  GoTarget target(GetParam());
  const auto capture = capture_of(GetParam());
  ASSERT_EQ(report_on(*capture, target.pid()).state, State::kCaptured) << report_on(*capture, target.pid()).reason;
  busy(target);
  ProcessReport report;
  const auto own = quiet(target, [&] { report = report_on(*capture, target.pid()); });
  EXPECT_EQ(report.go_version, own.version);
  for (const Compared& c : compared(own)) {
    EXPECT_EQ(shown(report, c.which).counts, thinned(own.histograms.at(c.metric)).counts) << c.metric;
    EXPECT_GT(shown(report, c.which).sum, 0) << c.metric;
  }
  EXPECT_EQ(report.gc_cycles, own.values.at("/gc/cycles/total:gc-cycles"));
  EXPECT_GE(*report.gc_cycles, 5U);
  EXPECT_GT(report.heap_bytes.value_or(0), 10'000U);
  const auto census = capture->census(target.pid());
  ASSERT_TRUE(census) << census.error().message;
  EXPECT_EQ(census->goroutines, own.values.at("goroutines"));
  for (const std::string& note : report.notes) std::printf("%s: %s\n", own.version.c_str(), note.c_str());
}

std::string name_of(const ::testing::TestParamInfo<std::string>& info) {
  std::string out = info.param.substr(info.param.rfind('/') + 1);
  std::ranges::replace_if(out, [](char c) { return !isalnum(static_cast<unsigned char>(c)); }, '_');
  return out;
}

INSTANTIATE_TEST_SUITE_P(Programs, GoFigures, ::testing::ValuesIn(programs()), name_of);

}  // namespace
}  // namespace mapshift::observe::go::test
