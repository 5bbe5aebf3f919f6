// SPDX-License-Identifier: Apache-2.0
#include <numeric>
#include <thread>

#include "kernel/go_probes.h"
#include "lab.h"
#include "observe/go/points.h"

namespace mapshift::test {
namespace {

using namespace observe::go;

class Windows : public EachVersion {
 protected:
  void open_checked(double budget) {
    open(budget);
    probes_->set_recorded([this](int pid) { return recorded(pid); });
  }
  [[nodiscard]] std::optional<uint64_t> recorded(int pid) const {
    const auto found = traced_.find(pid);
    return found == traced_.end() ? std::nullopt : recorded_transitions(found->second);
  }
  void add_checked(const Program& program) {
    const Traced traced = trace_of(program.pid());
    traced_[program.pid()] = traced;
    const auto added = probes_->add(traced);
    ASSERT_TRUE(added) << added.error().message;
  }

  std::map<int, Traced> traced_;  // written before the first add()
};

// 4 s of steady work, looked at for a small part of the time.
TEST_P(Windows, StayInsideTheBudgetAndGetTheRatesRight) {
  constexpr double kBudget = 0.1;
  open_checked(kBudget);
  Program program = start("rounds", 1500, "2ms");
  add_checked(program);
  auto truth = program.work();
  ProcessReport seen = report(program.pid());
  EXPECT_EQ(seen.probing.why_not, "");
  EXPECT_GE(seen.probing.windows, 3U);
  EXPECT_GT(seen.probing.duty, 0);
  EXPECT_LT(seen.probing.duty, 1);
  EXPECT_LT(seen.probing.overhead, 1.3 * kBudget);
  EXPECT_EQ(seen.probing.lost, 0U);
  // What came after the last window is not counted yet, and on a busy machine windows are few and the work's rate changes between them.
  EXPECT_GT(seen.created, truth["created"] / 8);
  EXPECT_LT(seen.created, truth["created"] * 3 / 2);
  EXPECT_NEAR(static_cast<double>(total(seen, "chan receive")), static_cast<double>(seen.created), 0.1 * static_cast<double>(seen.created));
  std::cout << GetParam() << ": duty " << seen.probing.duty << ", overhead " << seen.probing.overhead << ", windows " << seen.probing.windows
            << ", created " << seen.created << " of " << truth["created"] << ", cross-check " << seen.probing.crosscheck.value_or(-1) << "\n";
}

TEST_P(Windows, AgreeWithTheRuntimesOwnRecords) {
  open_checked(1);
  Program program = start("rounds", 600, "1ms");
  add_checked(program);
  // The cross-check compares from one look to the next.
  ASSERT_TRUE(eventually([&] { return report(program.pid()).probing.windows > 0; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  program.work();
  ASSERT_TRUE(eventually([&] { return report(program.pid()).probing.crosscheck.has_value(); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  EXPECT_NEAR(*report(program.pid()).probing.crosscheck, 1.0, 0.1);
}

TEST_P(Windows, TellProcessesOfOneExecutableApart) {
  open(1);
  Program one = start("receive", 50, "20ms"), other = start("receive", 80, "20ms"), stranger = start("receive", 30, "20ms");
  add(one);
  add(other);
  one.work();
  other.work();
  stranger.work();
  EXPECT_EQ(total(report(one.pid()), "chan receive"), 50U);
  EXPECT_EQ(total(report(other.pid()), "chan receive"), 80U);
  EXPECT_TRUE(report(stranger.pid()).block.empty());
  probes_->remove(one.pid());
  other.work();
  EXPECT_EQ(total(report(other.pid()), "chan receive"), 160U) << "the probes stay as long as one process needs them";
  EXPECT_TRUE(report(one.pid()).block.empty());
}

TEST_P(Windows, FollowTheBudgetWhileTheyRun) {
  open(0);
  Program program = start("receive", 50, "20ms");
  add(program);
  program.work();
  ProcessReport seen = report(program.pid());
  EXPECT_EQ(total(seen, "chan receive"), 0U);
  EXPECT_NE(seen.probing.why_not, "");
  probes_->set_budget(1);
  ASSERT_TRUE(eventually([&] { return report(program.pid()).probing.duty == 1; }));
  program.work();
  EXPECT_EQ(total(report(program.pid()), "chan receive"), 50U);
  probes_->set_budget(0);
  ASSERT_TRUE(eventually([&] { return report(program.pid()).probing.duty < 1; }));
  program.work();
  EXPECT_EQ(total(report(program.pid()), "chan receive"), 50U);
}

uint64_t count_of(const GoHistograms& histograms, uint16_t kind, const Traced& traced, const std::string& reason) {
  uint64_t sum = 0;
  for (const auto& [key, value] : histograms) {
    if (key.kind != kind || key.reason >= traced.wait_reasons.size() || traced.wait_reasons[key.reason] != reason) continue;
    for (const uint64_t count : value.counts) sum += count;
  }
  return sum;
}

// What was seen to begin in one window and to end in another is not paired: in between it may have ended and begun again.
TEST_P(Windows, DoNotPairWhatBeganInAnother) {
  constexpr uint64_t kCount = 40;
  auto hot = GoWindowProbes::load(best_uprobe_link());
  ASSERT_TRUE(hot);
  Program program = start("receive", kCount, "300ms");
  const Traced traced = trace_of(program.pid());
  ASSERT_TRUE(hot->add(program.pid(), *traced.binary->layout.g_waitreason, 0));
  const auto attached = hot->attach(traced.executable, points_of(*traced.binary, {}).goroutines);
  ASSERT_TRUE(attached);
  hot->open(1, monotonic_now());
  program.go();
  ASSERT_TRUE(eventually([&] { return hot->read(program.pid())->created == kCount; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  hot->open(0, monotonic_now());
  hot->open(2, monotonic_now());
  program.finish();
  const auto all = hot->histograms();
  ASSERT_TRUE(all.contains(program.pid()));
  const GoHistograms& seen = all.at(program.pid());
  EXPECT_EQ(count_of(seen, MS_GO_BLOCK, traced, "chan receive"), 0U);
  EXPECT_EQ(count_of(seen, MS_GO_BLOCK_LONGER, traced, "chan receive"), kCount);
  EXPECT_EQ(hot->read(program.pid())->exited, kCount);
}

uint64_t io_count(const GoHistograms& histograms, uint16_t kind, uint16_t operation) {
  const auto found = histograms.find({kind, operation});
  if (found == histograms.end()) return 0;
  return std::accumulate(std::begin(found->second.counts), std::end(found->second.counts), uint64_t{0});
}

// Calls likewise: of the two reads of each connection the first began in the window before.
TEST_P(Windows, DoNotPairCallsThatBeganInAnother) {
  constexpr uint64_t kCount = 40;
  auto hot = GoWindowProbes::load(best_uprobe_link());
  ASSERT_TRUE(hot);
  Program program = start("network", kCount, "300ms");
  const Traced traced = trace_of(program.pid());
  ASSERT_TRUE(hot->add(program.pid(), *traced.binary->layout.g_waitreason, 0));
  const auto attached = hot->attach(traced.executable, points_of(*traced.binary, {}).io);
  ASSERT_TRUE(attached);
  hot->open(1, monotonic_now());
  program.go();
  ASSERT_TRUE(eventually([&] { return hot->read(program.pid())->hits[MS_GO_HIT_IO_ENTRY] >= kCount; }));
  hot->open(0, monotonic_now());
  hot->open(2, monotonic_now());
  program.finish();
  const auto all = hot->histograms();
  ASSERT_TRUE(all.contains(program.pid()));
  EXPECT_EQ(io_count(all.at(program.pid()), MS_GO_IO_LONGER, MS_GO_READ), kCount + 1) << "with that of the word to go";
  EXPECT_EQ(io_count(all.at(program.pid()), MS_GO_IO_TIME, MS_GO_READ), kCount);
}

INSTANTIATE_TEST_SUITE_P(Go, Windows, ::testing::ValuesIn(go_versions()));
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Windows);

}  // namespace
}  // namespace mapshift::test
