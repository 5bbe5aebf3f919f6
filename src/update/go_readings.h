// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "observe/go/report.h"
#include "slo/objective.h"
#include "update/sources.h"

namespace mapshift::update {

// Turns what Go processes have counted since they began into what happened between two readings of an objective. A process
// that was not there at the reading before only opens its window. Thread-safe; one for each update.
class GoReadings {
 public:
  [[nodiscard]] GoReading read(const slo::Objective& objective, uint64_t generation,
                               const std::vector<observe::go::ProcessReport>& reports);

 private:
  using Process = std::pair<int, uint64_t>;  // pid and start: pids are used again
  std::mutex mutex_;
  std::map<std::pair<std::string, uint64_t>, std::map<Process, observe::Histogram>> before_;  // by objective and generation
};

}  // namespace mapshift::update
