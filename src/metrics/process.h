// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>

namespace mapshift::metrics {

struct ProcessStats {
  double cpu_seconds = 0;
  double resident_bytes = 0, virtual_bytes = 0;
  double open_fds = 0, max_fds = 0;
  double start_time = 0;  // Unix time, seconds
};

// Of this process, from /proc; none when /proc cannot be read.
[[nodiscard]] std::optional<ProcessStats> process_stats();

}  // namespace mapshift::metrics
