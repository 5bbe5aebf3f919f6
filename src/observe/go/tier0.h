// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "observe/go/binary.h"
#include "observe/go/memory.h"
#include "observe/go/report.h"
#include "observe/go/runtime_histogram.h"

namespace mapshift::observe::go {

// The runtime's own figures, as they stand in a process's memory.
struct Figures {
  static constexpr size_t kHistograms = 5;
  enum Which : size_t { kSched, kStoppingGc, kStoppingOther, kTotalGc, kTotalOther };
  std::array<std::optional<std::vector<uint64_t>>, kHistograms> histograms;  // each a timeHistogram as it is
  std::optional<uint64_t> heap_live;
  std::optional<uint32_t> gc_cycles;
  std::optional<uint64_t> allglen;
  uint64_t allgs = 0;  // address of the array, which grows by moving

  [[nodiscard]] std::optional<uint64_t> observed(Which which) const;
};

// Reads them in one system call. Fails as Memory::read does.
[[nodiscard]] Result<Figures> read_figures(const Memory& memory, const Binary& binary, uint64_t bias);

// Why figures cannot be the runtime's, or nothing: what is read is believed only when no count fell since `before` (if any), no
// histogram counts more than `uptime` allows, and the list of goroutines is a list.
[[nodiscard]] std::optional<std::string> implausible(const Figures& now, const Figures* before, Nanos uptime);

// Into the members of tier 0, but for goroutines. `minor` is the version: before 1.22 only the collector's pauses are kept.
void fill(const Figures& figures, const Binary& binary, ProcessReport& report);

}  // namespace mapshift::observe::go
