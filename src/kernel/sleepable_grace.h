// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/result.h"

namespace mapshift {

// Returns when no program that was running at the call can still be running, also none that may sleep. The kernel has no call for
// that; but when the last perf event of a tracepoint closes it waits for all of them (tracepoint_synchronize_unregister()). Opens and
// closes tracepoints that hardly anybody uses; where somebody does, nothing is waited for, so each wait is proven by a program that takes its
// time meanwhile, and made again when it was none. Takes 100 to 500 ms. kUnsupported when none was proven. Thread-safe.
[[nodiscard]] Status wait_for_sleepable_programs();

// Whether the above works on this kernel: tried until it did once. Thread-safe.
[[nodiscard]] Status check_sleepable_grace();

}  // namespace mapshift
