// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "observe/histogram.h"

namespace mapshift::observe::go {

enum class State : uint8_t {
  kCaptured,
  kUnsupported,  // a Go version, architecture or binary that is not understood: see `reason`
  kDenied,       // the kernel does not let us read it
  kOverLimit,    // more processes than the configuration's bound
};
[[nodiscard]] std::string_view to_string(State state);  // "captured", "unsupported", "denied", "over_limit"

// One stop of the world, as the runtime itself timed it.
struct Pause {
  Nanos began{0};          // monotonic
  Nanos stopping{0};       // until every goroutine had stopped
  Nanos total{0};
  bool gc = false;
  std::string reason = {};  // the runtime's own words where it keeps them, such as "GC mark termination"
};

// One cycle of the garbage collector. Phases that were not seen are 0.
struct Cycle {
  Nanos began{0};
  Nanos sweep_termination{0}, mark{0}, mark_termination{0};
};

struct GoroutineGroup {
  std::string state;   // "runnable", "running", "syscall", "waiting", "dead" is left out
  std::string reason;  // the runtime's words for why it waits; empty for other states
  uint64_t count = 0;
};

struct StartFunction {
  std::string function;
  uint64_t count = 0;
};

// How busy tier 2 is, and whether it can be believed.
struct Probing {
  double duty = 0;        // share of time in which the hot probes were attached
  double overhead = 0;    // CPU time of all probes' traps over the CPU time of the process
  std::optional<double> crosscheck = {};  // transitions seen over 8 times those that the runtime recorded: 1 when all is right
  uint64_t windows = 0;
  uint64_t lost = 0;      // events that found no room in a map
  std::string why_not = {};  // the hot probes are never attached, and why
};

// What is known of one process. Totals of tier 0 count since the process began; those of tiers 1 and 2 since it was captured;
// tier 2 counts what it saw in its windows divided by the duty cycle, so that rates are right.
struct ProcessReport {
  int pid = 0;               // in the host's pid namespace
  uint64_t start_ticks = 0;  // with pid: the process, since pids are used again
  std::string name;          // the executable's base name and, where there are several, an index: "app", "app-1"
  std::string path;          // of the executable, as the process sees it
  std::string cgroup;
  std::string go_version;    // "go1.22.12"
  std::string layout_from;   // "dwarf", "table"
  State state = State::kCaptured;
  std::string reason = {};   // why it is not captured
  std::vector<std::string> notes = {};  // what of it is not captured, and why: one sentence each

  std::optional<uint64_t> goroutines = {};
  std::vector<GoroutineGroup> groups = {};        // of the last census
  std::vector<StartFunction> start_functions = {};  // the most frequent, most first
  Nanos census_at{0};        // monotonic; 0: none yet
  Nanos census_took{0};
  std::optional<uint64_t> gc_cycles = {};
  std::optional<uint64_t> heap_bytes = {};
  std::map<std::string, Histogram> stw_pause = {}, stw_stopping = {};  // by kind: "gc", "other"
  Histogram sched_latency = {};
  std::vector<Pause> pauses = {};   // the last ones, newest last
  std::vector<Cycle> cycles = {};

  std::map<std::string, Histogram> block = {};     // by wait reason: from park to wake
  Histogram run_queue = {};                        // from runnable to running, as tier 2 saw it
  std::map<std::string, uint64_t> netpoll_events = {};  // by mode: "r", "w", "rw"
  std::map<std::string, Histogram> io = {};        // "read", "write": FD.Read and FD.Write
  std::map<std::string, uint64_t> io_errors = {};
  uint64_t created = 0, exited = 0;
  Probing probing = {};
};

}  // namespace mapshift::observe::go
