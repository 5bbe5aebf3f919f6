// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "observe/go/report.h"

namespace mapshift::observe::go {

// A process is wanted when any filter takes it; every member of a filter must fit. Patterns are shell globs (fnmatch).
struct Filter {
  std::string path = "*";    // of the executable
  std::string cgroup = "*";  // path in the control group hierarchy
};

struct Settings {
  double overhead_budget = 0.01;  // of the tier-2 probes, as a share of the process's own CPU time; 0: never attach them
  std::vector<Filter> processes = {{}};
  size_t max_processes = 64;
  Nanos census_interval = std::chrono::minutes(1);  // 0: never by itself
};

// Captures Go processes from start() to its end. Thread-safe.
class Capture {
 public:
  virtual ~Capture() = default;
  // All processes, the captured ones first, by name. Reads the processes' memory: about 20 microseconds each. A report that is
  // younger than `max_age` may be given again.
  [[nodiscard]] virtual std::vector<ProcessReport> reports(Nanos max_age) = 0;
  // One process with a fresh census. kNotFound.
  [[nodiscard]] virtual Result<ProcessReport> census(int pid) = 0;
  virtual void configure(Settings settings) = 0;
  [[nodiscard]] virtual uint64_t dropped_processes() = 0;  // found beyond max_processes, ever
};

// Starts the threads. What the kernel does not let us do is no error: it stands in the reports.
[[nodiscard]] Result<std::unique_ptr<Capture>> start_capture(Settings settings);

}  // namespace mapshift::observe::go
