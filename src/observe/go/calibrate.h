// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "kernel/go_probes.h"
#include "observe/go/points.h"

namespace mapshift::observe::go {

// Measures what a hit costs on this host, on a function of our own that passes for the runtime's: some milliseconds. Leaves
// nothing attached. What cannot be measured keeps its usual value.
[[nodiscard]] ProbeCost calibrate(const GoWindowProbes& probes);

}  // namespace mapshift::observe::go
