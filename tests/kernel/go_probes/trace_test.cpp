// SPDX-License-Identifier: Apache-2.0
// The probes against the runtime's own tracer, on the same run of the same program: what goroutines waited for, how often and how
// long, and how long they were runnable.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <numeric>
#include <sstream>
#include <thread>

#include "kernel/go_probes.h"
#include "lab.h"
#include "observe/go/points.h"
#include "observe/go/tally.h"
#include "trace_log.h"

namespace mapshift::test {
namespace {

using namespace observe::go;
using observe::Histogram;

constexpr int kWorkers = 3;
constexpr const char* kTime = "800ms";
constexpr auto kWindow = std::chrono::milliseconds(200);
// What a window is taken to stand for: so much that what is shown, which is rounded down in each bucket, loses nothing that matters.
constexpr uint64_t kTimes = 1000;
// The blocks of the program itself are equal, but for those at the very edge of a window; the runtime's own goroutines run between the
// looks and the marks as well.
constexpr double kTolerance = 0.005, kEdges = 2;
// Of each reason, also on a machine that does other things as well.
constexpr uint64_t kEnough = 20;
// Of the collector's goroutines, of which there are some hundred blocks. To 1.21 the trace does not tell those that were only
// stopped for their stacks to be looked at, which are no blocks for us.
constexpr int kRuntimes = 6, kRuntimesWithStops = 30;

// The trace has one word for several of the runtime's reasons.
struct Word {
  const char* trace;
  std::vector<std::string> reasons;
};
const std::vector<Word>& words() {
  static const std::vector<Word> all = {
      {"chan receive", {"chan receive"}},
      {"chan send", {"chan send"}},
      {"select", {"select"}},
      {"sleep", {"sleep"}},
      {"network", {"IO wait"}},
      {"sync.(*Cond).Wait", {"sync.Cond.Wait"}},
      {"sync", {"semacquire", "sync.Mutex.Lock", "sync.RWMutex.RLock", "sync.RWMutex.Lock", "sync.WaitGroup.Wait"}},
  };
  return all;
}

struct Seen {
  uint64_t count = 0;
  int median = -1;  // its bucket
};

Seen from(std::vector<uint64_t> times, const std::vector<double>& bounds) {
  if (times.empty()) return {};
  std::ranges::sort(times);
  const double median = static_cast<double>(times[(times.size() - 1) / 2]) / 1e9;
  return {times.size(), static_cast<int>(std::ranges::lower_bound(bounds, median) - bounds.begin())};
}

Seen counted(const std::vector<uint64_t>& counts, uint64_t times) {
  const uint64_t all = std::accumulate(counts.begin(), counts.end(), uint64_t{0});
  Seen seen{(all + times / 2) / times};
  uint64_t below = 0;
  for (size_t i = 0; i < counts.size() && seen.median < 0; i++) {
    below += counts[i];
    if (2 * below > all) seen.median = static_cast<int>(i);
  }
  return seen;
}

std::string range(int bucket, const std::vector<double>& bounds) {
  if (bucket < 0) return "-";
  const auto i = static_cast<size_t>(bucket);
  std::ostringstream text;
  text << std::setprecision(3) << (i > 0 ? bounds[i - 1] * 1e3 : 0) << " to ";
  if (i < bounds.size()) text << bounds[i] * 1e3 << " ms";
  else text << "more";
  return text.str();
}

class AgainstTheTrace : public EachVersion {
 protected:
  void SetUp() override {
    EachVersion::SetUp();
    if (IsSkipped()) return;
    if (*GO_TRACE_TOOL == 0) GTEST_SKIP() << "Go " << GetParam() << ": " GO_TRACE_WHY_NOT;
    file_ = std::filesystem::temp_directory_path() / ("go-trace-" + std::to_string(::getpid()));
  }
  void TearDown() override { std::filesystem::remove(file_); }

  [[nodiscard]] Program started() const {
    return {std::string(GO_PROGRAMS) + "/go-traced-" + GetParam(), file_, kWorkers, kTime};
  }
  // The same stretch as both saw it: nothing of the program runs at the looks before and after.
  void run() {
    open(1);
    Program program = started();
    add(program);
    program.work();  // starts the trace
    before_ = report(program.pid());
    program.work();
    after_ = report(program.pid());
    program.work();  // stops it
    truth_ = read_trace(GO_TRACE_TOOL, file_);
    EXPECT_EQ(after_.probing.lost, 0U);
    EXPECT_EQ(after_.probing.duty, 1);
  }
  [[nodiscard]] static std::vector<uint64_t> grown(const Histogram& now, const Histogram& then) {
    const auto difference = observe::since(now, then);
    return difference ? difference->counts : std::vector<uint64_t>{};
  }
  [[nodiscard]] std::vector<uint64_t> blocks(const std::vector<std::string>& reasons) const {
    std::vector<uint64_t> sum;
    for (const std::string& reason : reasons) {
      const auto now = after_.block.find(reason), then = before_.block.find(reason);
      if (now == after_.block.end()) continue;
      const auto counts = grown(now->second, then == before_.block.end() ? Histogram{} : then->second);
      sum.resize(std::max(sum.size(), counts.size()));
      for (size_t i = 0; i < counts.size(); i++) sum[i] += counts[i];
    }
    return sum;
  }
  static void row(const std::string& name, const Seen& trace, const Seen& probes, const std::vector<double>& bounds) {
    std::cout << "  " << std::left << std::setw(20) << name << std::right << std::setw(8) << trace.count << std::setw(8)
              << probes.count << "   " << std::left << std::setw(22) << range(trace.median, bounds) << range(probes.median, bounds)
              << "\n";
  }
  void compare_reasons() {
    const std::vector<double>& bounds = after_.run_queue.bounds;
    std::cout << "Go " << GetParam() << "                trace  probes   median of the trace   of the probes\n";
    for (const Word& word : words()) {
      compare(word.trace, from(truth_.block[word.trace], bounds), counted(blocks(word.reasons), times_), bounds);
    }
    compare("runnable to running", from(truth_.run_queue, bounds), counted(grown(after_.run_queue, before_.run_queue), times_), bounds);
  }
  // What no word above is of.
  void compare_the_runtimes_own() {
    uint64_t trace = 0, probes = 0;
    for (const auto& [reason, times] : truth_.block) {
      if (reason != "preempted" && std::ranges::find(words(), reason, &Word::trace) == words().end()) trace += times.size();
    }
    for (const auto& [reason, histogram] : after_.block) {
      const auto has = [&reason = reason](const Word& word) { return std::ranges::count(word.reasons, reason) > 0; };
      if (std::ranges::none_of(words(), has)) probes += counted(blocks({reason}), times_).count;
    }
    row("the runtime's own", {trace}, {probes}, {});
    EXPECT_NEAR(static_cast<double>(probes), static_cast<double>(trace), minor() >= 22 ? kRuntimes : kRuntimesWithStops);
  }
  static void compare(const std::string& name, const Seen& trace, const Seen& probes, const std::vector<double>& bounds) {
    row(name, trace, probes, bounds);
    EXPECT_GE(trace.count, kEnough) << name;
    const double count = static_cast<double>(trace.count);
    EXPECT_NEAR(static_cast<double>(probes.count), count, std::max(kEdges, kTolerance * count)) << name;
    EXPECT_LE(std::abs(probes.median - trace.median), 1) << name;
  }

  std::string file_;
  ProcessReport before_, after_;
  uint64_t times_ = 1;  // what was counted stands for so many
  TraceLog truth_;
};

TEST_P(AgainstTheTrace, CountsAndMediansAreTheSame) {
  run();
  compare_reasons();
  const uint64_t created = after_.created - before_.created, exited = after_.exited - before_.exited;
  std::cout << "  created, ended: " << truth_.created << ", " << truth_.exited << " in the trace; " << created << ", " << exited
            << "\n";
  EXPECT_EQ(created, truth_.created);
  EXPECT_EQ(exited, truth_.exited);
  compare_the_runtimes_own();
}

// One window in the middle of the work, as the agent opens them. Of most that ends in it the beginning was not seen.
TEST_P(AgainstTheTrace, AWindowCountsWhatEndsInIt) {
  if (minor() < 22) {
    GTEST_SKIP() << "Go " << GetParam() << ": the clock of its traces is its own, so nobody knows where in them the window is";
  }
  auto hot = GoWindowProbes::load(best_uprobe_link());
  ASSERT_TRUE(hot);
  Program program = started();
  const Traced traced = trace_of(program.pid());
  ASSERT_TRUE(hot->add(program.pid(), *traced.binary->layout.g_waitreason, 0));
  auto attached = hot->attach(traced.executable, points_of(*traced.binary, {}).goroutines);
  ASSERT_TRUE(attached);
  program.work();
  program.go();
  std::this_thread::sleep_for(kWindow);
  const Nanos began = monotonic_now();
  hot->open(1, began);
  std::this_thread::sleep_for(kWindow);
  const Nanos ended = monotonic_now();
  hot->open(0, ended);
  *attached = Uprobes();
  program.finish();
  program.work();
  truth_ = read_trace(GO_TRACE_TOOL, file_, {static_cast<uint64_t>(began.count()), static_cast<uint64_t>(ended.count())});
  const auto counters = hot->read(program.pid());
  const auto all = hot->histograms();
  ASSERT_TRUE(counters && all.contains(program.pid()));
  Tally tally(traced.wait_reasons);
  times_ = kTimes;
  tally.add(*counters, all.at(program.pid()), kTimes, false);
  tally.fill(after_);
  compare_reasons();
  EXPECT_NEAR(static_cast<double>(after_.created / kTimes), static_cast<double>(truth_.created), kEdges);
  EXPECT_NEAR(static_cast<double>(after_.exited / kTimes), static_cast<double>(truth_.exited), kEdges);
}

INSTANTIATE_TEST_SUITE_P(Go, AgainstTheTrace, ::testing::ValuesIn(go_versions()));
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(AgainstTheTrace);

}  // namespace
}  // namespace mapshift::test
