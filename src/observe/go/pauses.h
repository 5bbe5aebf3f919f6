// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <mapshift/go.h>

#include <deque>
#include <string>
#include <vector>

#include "observe/go/report.h"

namespace mapshift::observe::go {

// Makes pauses and cycles of one process out of what its probes recorded. Not thread-safe.
class PauseLog {
 public:
  // The runtime's own words by number; none before Go 1.21, where only the collector's pauses are told from others.
  explicit PauseLog(std::vector<std::string> reasons) : reasons_(std::move(reasons)) {}

  void add(const ms_go_event& event);
  [[nodiscard]] std::vector<Pause> pauses() const { return {pauses_.begin(), pauses_.end()}; }
  [[nodiscard]] std::vector<Cycle> cycles() const { return {cycles_.begin(), cycles_.end()}; }

  static constexpr size_t kPauses = 256;
  static constexpr size_t kCycles = 256;

 private:
  enum class Phase : uint8_t { kNone, kSweepTermination, kMarkTermination };
  [[nodiscard]] std::string reason_of(const ms_go_event& event) const;
  void follow(const Pause& pause, Nanos ended);

  std::vector<std::string> reasons_;
  std::deque<Pause> pauses_;
  std::deque<Cycle> cycles_;
  Cycle cycle_;                // under way
  Nanos mark_began_{0};        // 0: its beginning was not seen
  bool terminating_ = false;   // the pause that comes next ends the cycle
};

}  // namespace mapshift::observe::go
