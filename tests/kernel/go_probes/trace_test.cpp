// SPDX-License-Identifier: Apache-2.0
// The probes against the runtime's own tracer, on the same run of the same program: what goroutines waited for, how often and how
// long, and how long they were runnable.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iomanip>
#include <iostream>

#include "lab.h"
#include "trace_log.h"

namespace mapshift::test {
namespace {

using namespace observe::go;
using observe::Histogram;

constexpr int kWorkers = 3;
constexpr const char* kTime = "800ms";
// The blocks of the program itself are equal; the runtime's own goroutines run between the looks and the marks as well.
constexpr double kTolerance = 0.005;
// Else one event is more than the tolerance.
constexpr uint64_t kEnough = 200;
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

Seen counted(const std::vector<uint64_t>& counts) {
  Seen seen;
  for (const uint64_t count : counts) seen.count += count;
  uint64_t below = 0;
  for (size_t i = 0; i < counts.size() && seen.median < 0; i++) {
    below += counts[i];
    if (below > (seen.count - 1) / 2) seen.median = static_cast<int>(i);
  }
  return seen;
}

std::string range(int bucket, const std::vector<double>& bounds) {
  if (bucket < 0) return "-";
  const auto text = [](double seconds) {
    char buffer[32];
    std::snprintf(buffer, sizeof(buffer), "%.3g", seconds * 1e3);
    return std::string(buffer);
  };
  const auto i = static_cast<size_t>(bucket);
  return (i > 0 ? text(bounds[i - 1]) : "0") + " to " + (i < bounds.size() ? text(bounds[i]) : "more") + " ms";
}

class AgainstTheTrace : public EachVersion {
 protected:
  void SetUp() override {
    EachVersion::SetUp();
    if (IsSkipped()) return;
    if (*GO_TRACE_TOOL == 0) GTEST_SKIP() << "Go " << GetParam() << ": " GO_TRACE_WHY_NOT;
    open(1);
    file_ = std::filesystem::temp_directory_path() / ("go-trace-" + std::to_string(::getpid()));
  }
  void TearDown() override { std::filesystem::remove(file_); }

  // The same stretch as both saw it: nothing of the program runs at the looks before and after.
  void run() {
    Program program(std::string(GO_PROGRAMS) + "/go-traced-" + GetParam(), file_, kWorkers, kTime);
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
    std::cout << "  " << std::left << std::setw(20) << name << std::right << std::setw(8) << trace.count << std::setw(8) << probes.count
              << "   " << std::left << std::setw(22) << range(trace.median, bounds) << range(probes.median, bounds) << "\n";
  }
  // What no word above is of.
  void compare_the_runtimes_own() {
    uint64_t trace = 0, probes = 0;
    for (const auto& [reason, times] : truth_.block) {
      if (reason != "preempted" && std::ranges::find(words(), reason, &Word::trace) == words().end()) trace += times.size();
    }
    for (const auto& [reason, histogram] : after_.block) {
      const auto same = [&reason = reason](const Word& word) { return std::ranges::find(word.reasons, reason) != word.reasons.end(); };
      if (std::ranges::none_of(words(), same)) probes += counted(blocks({reason})).count;
    }
    row("the runtime's own", {trace}, {probes}, {});
    EXPECT_NEAR(static_cast<double>(probes), static_cast<double>(trace), minor() >= 22 ? kRuntimes : kRuntimesWithStops);
  }
  static void compare(const std::string& name, const Seen& trace, const Seen& probes, const std::vector<double>& bounds) {
    row(name, trace, probes, bounds);
    EXPECT_GE(trace.count, kEnough) << name;
    EXPECT_NEAR(static_cast<double>(probes.count), static_cast<double>(trace.count), kTolerance * static_cast<double>(trace.count)) << name;
    EXPECT_LE(std::abs(probes.median - trace.median), 1) << name;
  }

  std::string file_;
  ProcessReport before_, after_;
  TraceLog truth_;
};

TEST_P(AgainstTheTrace, CountsAndMediansAreTheSame) {
  run();
  const std::vector<double>& bounds = after_.run_queue.bounds;
  std::cout << "Go " << GetParam() << "                trace  probes   median of the trace   of the probes\n";
  for (const Word& word : words()) {
    compare(word.trace, from(truth_.block[word.trace], bounds), counted(blocks(word.reasons)), bounds);
  }
  compare("runnable to running", from(truth_.run_queue, bounds), counted(grown(after_.run_queue, before_.run_queue)), bounds);
  const uint64_t created = after_.created - before_.created, exited = after_.exited - before_.exited;
  std::cout << "  created, ended: " << truth_.created << ", " << truth_.exited << " in the trace; " << created << ", " << exited << "\n";
  EXPECT_EQ(created, truth_.created);
  EXPECT_EQ(exited, truth_.exited);
  compare_the_runtimes_own();
}

INSTANTIATE_TEST_SUITE_P(Go, AgainstTheTrace, ::testing::ValuesIn(go_versions()));
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(AgainstTheTrace);

}  // namespace
}  // namespace mapshift::test
