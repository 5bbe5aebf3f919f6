// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

namespace mapshift {

// What the tracing attach types need beyond a name and a path.
struct TraceTarget {
  std::string symbol = {};    // a function of the executable at `path`; uprobe_multi: may hold * and ?
  std::string provider = {};  // usdt, with the probe's name
  std::string event = {};     // perf_event: "cpu-clock"
  uint64_t offset = 0;        // bytes from the symbol; without one, into the file
  uint64_t frequency = 0, period = 0;  // perf_event: samples a second, or events between two samples
  int64_t pid = 0;            // 0: every process
  bool overlap = false;       // for programs that may sleep: both generations are attached while they are exchanged
  bool operator==(const TraceTarget&) const = default;
};

}  // namespace mapshift
