// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "observe/go/binary.h"
#include "observe/go/executable.h"
#include "observe/go/memory.h"
#include "observe/go/report.h"
#include "observe/go/tier0.h"

namespace mapshift::observe::go {

// All goroutines of a process, counted. The process runs on meanwhile: each goroutine is seen as it was at some instant of the walk.
// Those that the runtime keeps for itself are left out, as it leaves them out of its own count.
struct Census {
  std::vector<GoroutineGroup> groups;          // the largest first, at most kMaxGroups: the rest is in the last, "other"
  std::vector<StartFunction> start_functions;  // the largest first, at most kMaxStarts
  uint64_t goroutines = 0;
  uint64_t allglen = 0;      // at the time
  bool truncated = false;    // more than kMaxGoroutines: the rest was not looked at
  Nanos at{0}, took{0};

  static constexpr size_t kMaxGroups = 64, kMaxStarts = 20, kMaxGoroutines = 1'000'000;
};

// What a walk needs to know of a process.
struct Walked {
  const Memory& memory;
  const Layout& layout;
  uint64_t bias = 0;
  const std::vector<std::string>& wait_reasons;
  StartNames& names;
  const Fd& executable;  // for names not met before
};

// Walks runtime.allgs as `figures` gives it: one system call per 1024 goroutines. Fails as Memory::read does; kUnsupported when what
// is there are no goroutines.
[[nodiscard]] Result<Census> take_census(const Walked& process, const Figures& figures);
[[nodiscard]] bool can_walk(const Layout& layout, const Figures& figures);

// Why goroutines wait, in the words of the target's own runtime: an array of Go strings, which is reordered in many releases.
[[nodiscard]] Result<std::vector<std::string>> read_strings(const Memory& memory, uint64_t address, uint32_t count);

}  // namespace mapshift::observe::go
