// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "kernel/go_probes.h"
#include "observe/go/binary.h"

namespace mapshift::observe::go {

// CPU seconds that one hit costs the process, and a window besides.
struct ProbeCost {
  double emulated = 1.7e-6, stepped = 16e-6;
  double window = 2e-4;  // attaching and detaching
};

// Where the probes of each tier go in one executable, and why some of them do not.
struct Points {
  Places rare, goroutines, io;
  double hit_cost[MS_GO_HITS] = {};  // CPU seconds
  double rare_cost = 0;
  std::vector<std::string> notes = {};
  std::string why_no_windows = {};   // the hot probes cannot be attached at all
};

[[nodiscard]] Points points_of(const Binary& binary, const ProbeCost& cost);

}  // namespace mapshift::observe::go
