// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/result.h"

namespace mapshift {

// Returns when no program that was running at the call can still be running, also none that may sleep. The kernel has no call for
// that; but when the last perf event of a tracepoint closes it waits for all of them (tracepoint_synchronize_unregister()). Opens and
// closes tracepoints that hardly anybody uses. Takes 20 to 200 ms. Thread-safe.
[[nodiscard]] Status wait_for_sleepable_programs();

// Whether the above keeps its word on this kernel: tried once, with a program that takes its time. kUnsupported when it does not, or
// cannot be tried. Thread-safe.
[[nodiscard]] Status check_sleepable_grace();

}  // namespace mapshift
