// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "base/clock.h"
#include "observe/go/report.h"

namespace mapshift::cli {

struct GoList {
  bool enabled = true;
  std::string reason = {};  // why nothing is captured
  uint64_t dropped = 0;     // processes beyond the limit
  std::vector<observe::go::ProcessReport> processes = {};
};

// Pure: reports in, text for people out, no line above 120 columns whatever the processes call themselves.
[[nodiscard]] std::string render_go_processes(const GoList& list);
// `now`: when the report was made, on the monotonic clock.
[[nodiscard]] std::string render_go_process(const observe::go::ProcessReport& report, Nanos now);

// `text` on one line within `width` columns; what is cut off is shown as "…".
[[nodiscard]] std::string fit(const std::string& text, size_t width);

}  // namespace mapshift::cli
