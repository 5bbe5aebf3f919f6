// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "lab.h"

namespace mapshift::test {
namespace {

using namespace observe::go;

size_t count_of(const ProcessReport& report, const std::string& reason) {
  return static_cast<size_t>(std::ranges::count(report.pauses, reason, &Pause::reason));
}

class Stops : public EachVersion {};

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
