// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <vector>

#include "kernel/go_probes.h"
#include "observe/go/estimate.h"
#include "observe/go/report.h"

namespace mapshift::observe::go {

// What the hot probes counted of one process, brought from windows to all of the time. Pure. Not thread-safe.
class Tally {
 public:
  explicit Tally(std::vector<std::string> wait_reasons) : wait_reasons_(std::move(wait_reasons)) {}

  // Adds what the kernel's counters grew by since the last call, `times` over: the time since the end of the last window of
  // this kind by the length of this one. `whole`: the probes are there all the time. Then nothing is estimated, and what began
  // before is left out.
  void add(const ms_go_process& counters, const GoHistograms& histograms, double times, bool whole);
  void fill(ProcessReport& report) const;
  [[nodiscard]] uint64_t lost() const { return last_.lost; }

 private:
  [[nodiscard]] ms_go_histogram grown(const GoHistograms& now, GoHistogramKey key) const;
  void add_pair(Estimate& total, const GoHistograms& now, ms_go_histogram_kind timed, ms_go_histogram_kind longer, uint16_t reason,
                double times, bool whole);
  [[nodiscard]] std::string name_of(uint16_t reason) const;

  std::vector<std::string> wait_reasons_;
  ms_go_process last_{};
  GoHistograms last_histograms_;
  bool whole_ = true;  // nothing was ever estimated
  std::map<uint16_t, Estimate> block_;
  Estimate run_queue_;
  Estimate io_[MS_GO_IO];
  double created_ = 0, exited_ = 0, netpoll_[3] = {}, io_errors_[MS_GO_IO] = {};
};

}  // namespace mapshift::observe::go
