// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>

#include "lab.h"

namespace mapshift::test {
namespace {

using namespace observe::go;

size_t count_of(const ProcessReport& report, const std::string& reason) {
  return static_cast<size_t>(std::ranges::count(report.pauses, reason, &Pause::reason));
}

// The runtime's own bucket: 4 for each power of two from 2^8 ns (runtime/histogram.go since 1.20).
size_t runtime_bucket(Nanos time) {
  const auto ns = static_cast<uint64_t>(time.count());
  const auto bits = static_cast<unsigned>(std::bit_width(ns));
  return bits < 9 ? ns >> 6 : (bits - 8) * 4 + (ns >> (bits - 3) & 3);
}

// What the runtime put into one of its histograms since `before`.
std::vector<uint64_t> recorded(const Traced& traced, uint64_t address, const std::vector<uint64_t>& before) {
  auto counters = runtime_histogram(traced, address);
  for (size_t i = 0; i < counters.size() && i < before.size(); i++) counters[i] -= before[i];
  return counters;
}

class Stops : public EachVersion {};

TEST_P(Stops, TakeExactlyAsLongAsTheRuntimeSays) {
  if (minor() < 22) GTEST_SKIP() << "Go " << GetParam() << " keeps no histograms of all stops";
  open(0);
  Program program = start("stop", 64, "10ms");
  const Traced traced = trace_of(program.pid());
  const Globals& globals = traced.binary->globals;
  const auto added = probes_->add(traced);
  ASSERT_TRUE(added) << added.error().message;
  struct Kind {
    bool gc, stopping;
    uint64_t address;
    std::vector<uint64_t> before = {};
  };
  std::vector<Kind> kinds = {{true, false, globals.total_gc}, {false, false, globals.total_other}};
  // 1.22 does not pass on when the world had stopped.
  if (minor() >= 23) kinds.insert(kinds.end(), {{true, true, globals.stopping_gc}, {false, true, globals.stopping_other}});
  for (Kind& kind : kinds) kind.before = runtime_histogram(traced, kind.address);
  program.work();
  const ProcessReport seen = report(program.pid());
  for (const Kind& kind : kinds) {
    ASSERT_FALSE(kind.before.empty());
    std::vector<uint64_t> ours(kind.before.size());
    for (const Pause& pause : seen.pauses) {
      if (pause.gc == kind.gc) ours[runtime_bucket(kind.stopping ? pause.stopping : pause.total)]++;
    }
    EXPECT_EQ(ours, recorded(traced, kind.address, kind.before)) << "gc " << kind.gc << " stopping " << kind.stopping;
  }
}

TEST_P(Stops, AreAsManyAsTheRuntimeItselfCounts) {
  open(0);
  Program program = start("stop", 64, "10ms");
  add(program);
  auto truth = program.work();
  const ProcessReport seen = report(program.pid());
  const auto gc = static_cast<size_t>(std::ranges::count(seen.pauses, true, &Pause::gc));
  EXPECT_EQ(gc, minor() >= 22 ? truth["gc_pauses"] : truth["old_gc_pauses"]);
  EXPECT_EQ(seen.pauses.size() - gc, minor() >= 22 ? truth["other_pauses"] : truth["reads"]);
  EXPECT_EQ(count_of(seen, "GC sweep termination"), truth["collections"]);
  EXPECT_EQ(count_of(seen, "GC mark termination"), truth["collections"]);
  if (minor() >= 21) {
    EXPECT_EQ(count_of(seen, "read mem stats"), truth["reads"]);
  }
  EXPECT_EQ(seen.cycles.size(), truth["cycles"]);
  EXPECT_EQ(seen.probing.lost, 0U);
}

TEST_P(Stops, HaveTimesAndPhasesThatFitTogether) {
  open(0);
  Program program = start("stop", 32, "10ms");
  const Nanos before = monotonic_now();
  add(program);
  program.work();
  const Nanos after = monotonic_now();
  const ProcessReport seen = report(program.pid());
  Nanos last = before;
  for (const Pause& pause : seen.pauses) {
    EXPECT_GE(pause.began, last);
    EXPECT_GT(pause.total, Nanos(0));
    EXPECT_GT(pause.stopping, Nanos(0));
    EXPECT_LE(pause.stopping, pause.total);
    last = pause.began + pause.total;
  }
  EXPECT_LE(last, after);
  ASSERT_EQ(seen.cycles.size(), 4U);
  for (const Cycle& cycle : seen.cycles) {
    EXPECT_GT(cycle.sweep_termination, Nanos(0));
    EXPECT_GT(cycle.mark, Nanos(0));
    EXPECT_GT(cycle.mark_termination, Nanos(0));
    EXPECT_LE(cycle.began + cycle.sweep_termination + cycle.mark + cycle.mark_termination, after);
  }
}

INSTANTIATE_TEST_SUITE_P(Go, Stops, ::testing::ValuesIn(go_versions()));
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Stops);

}  // namespace
}  // namespace mapshift::test
