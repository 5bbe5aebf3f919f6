// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "observe/go/binary.h"
#include "observe/go/report.h"

namespace mapshift::observe::go {

// A process that probes may be put on.
struct Traced {
  int pid = 0;               // thread group id in the host's pid namespace
  uint64_t start_ticks = 0;
  std::string executable;    // a path that opens the running file, such as /proc/PID/exe
  uint64_t device = 0, inode = 0;  // of that file: probes are shared by all processes that run it
  uint64_t bias = 0;         // add to an address as linked
  std::shared_ptr<const Binary> binary;
  std::vector<std::string> wait_reasons = {};  // by number, read from the process
  std::vector<std::string> stw_reasons = {};
  // Where `executable` is /proc/self/fd/N: what keeps N open. (After an exec /proc/PID/exe is another file, and a probe there would
  // stand in the middle of an instruction.)
  std::shared_ptr<const Fd> file = {};
};

// Tiers 1 and 2 of all processes: BPF programs on user-space functions. One for an agent. Thread-safe.
//
// Tier 1 is attached as long as a process of the executable is there. Tier 2 is attached to one executable at a time, for short
// windows that a budget allows; see budget.h.
class Probes {
 public:
  virtual ~Probes() = default;
  // kKernel, kUnsupported: why no probe can be put on it; tier 0 works without.
  [[nodiscard]] virtual Status add(const Traced& process) = 0;
  virtual void remove(int pid) = 0;
  // Fills what tiers 1 and 2 know of the process: pauses, cycles, block, run_queue, netpoll_events, io, io_errors, created, exited,
  // probing (but for crosscheck, which needs `recorded`), and adds to notes.
  virtual void fill(int pid, ProcessReport& report) = 0;
  virtual void set_budget(double share) = 0;
  // How many transitions to running the process's own runtime has recorded (the total of sched_latency), read at a window's edges
  // for the cross-check. Set once, before the first add(); called from the window thread; nothing when it cannot be read.
  using Recorded = std::function<std::optional<uint64_t>(int pid)>;
  virtual void set_recorded(Recorded recorded) = 0;
};

[[nodiscard]] Result<std::unique_ptr<Probes>> open_probes(double budget);

}  // namespace mapshift::observe::go
