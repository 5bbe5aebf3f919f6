// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metrics/series.h"
#include "observe/go/report.h"

namespace mapshift::metrics {

// Shows captured Go processes as series. Remembers which process a label stands for, so that another one under the same name
// begins with counters of its own. Not thread-safe.
//
// A process takes at most 22 series of its own, 4 for the states of goroutines, and 2 for each wait reason (block_seconds and
// goroutines), "other" included: 76 at the bound below. A server with 10 reasons takes about 45. So the 64 processes of the
// default configuration fit into Series::kMaxSeries in any case.
class GoSeries {
 public:
  static constexpr size_t kMaxReasons = 24;  // of one process; what comes later is counted as "other"

  void show(Series& series, const std::vector<observe::go::ProcessReport>& reports, uint64_t dropped);

 private:
  struct Shown {
    int pid = 0;
    uint64_t start_ticks = 0;
    std::string go_version = {};
    std::set<std::string> reasons = {};  // first come, first served, and kept: a count never moves from one label to another
    std::set<std::pair<std::string, std::string>> groups = {};  // state and reason, as of the last census shown
  };
  static void show_process(Series& series, Shown& shown, const observe::go::ProcessReport& report);
  static void show_histograms(Series& series, Shown& shown, const observe::go::ProcessReport& report);
  static void show_counts(Series& series, const observe::go::ProcessReport& report);
  static void show_groups(Series& series, Shown& shown, const observe::go::ProcessReport& report);
  [[nodiscard]] static std::string admit(Shown& shown, const std::string& reason);

  std::map<std::string, Shown> shown_;  // by label
};

}  // namespace mapshift::metrics
