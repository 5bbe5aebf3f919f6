// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mapshift::observe::go {

// Where a fact about a binary comes from, the most trusted first.
enum class Origin : uint8_t { kNone, kDwarf, kSymbol, kTable, kPattern };
[[nodiscard]] std::string_view to_string(Origin origin);

struct Version {
  int minor = 0;  // of go1.MINOR
  int patch = 0;
  std::string text;  // as the binary has it: "go1.22.12", "go1.26-devel_..."
};

// Functions of the runtime that probes are put on. Names differ between versions: binary analysis knows them.
enum class Target : uint8_t {
  kStartTheWorld,      // runtime.startTheWorldWithSema
  kStopTheWorld,       // runtime.stopTheWorldWithSema
  kHistogramRecord,    // runtime.(*timeHistogram).record
  kGcStart,            // once for each cycle, in runtime.gcStart: runtime.(*gcControllerState).startCycle
  kGcMarkTermination,  // runtime.gcMarkTermination
  kCasgstatus,         // runtime.casgstatus
  kNetpollReady,       // runtime.netpollready
  kFdRead,             // internal/poll.(*FD).Read
  kFdWrite,            // internal/poll.(*FD).Write
};
inline constexpr size_t kTargets = 9;

// An instruction, as an offset into the file, which is what uprobes take.
struct ProbePoint {
  uint64_t offset = 0;
  bool emulated = false;  // the kernel emulates it; else it single-steps, 13 to 17 times dearer
};

struct Function {
  std::string name;
  uint64_t address = 0;  // as linked; add the load bias for a running process
  uint64_t size = 0;
  ProbePoint entry;                  // after the stack check, arguments still in registers
  std::vector<ProbePoint> returns;   // every RET
};

// Offsets in bytes into the runtime's structures; absent where this version has no such field or nobody knows it.
struct Layout {
  std::optional<uint32_t> g_goid, g_status, g_waitreason, g_parent_goid, g_startpc, g_m;
  std::optional<uint32_t> m_procid, m_curg;
  std::optional<uint32_t> sched_time_to_run, sched_stopping_gc, sched_stopping_other, sched_total_gc, sched_total_other;
  std::optional<uint32_t> fd_sysfd;
  uint32_t histogram_size = 0;
  Origin origin = Origin::kNone;
};

// Addresses as linked; 0 where not found.
struct Globals {
  uint64_t time_to_run = 0;                              // timeHistogram
  uint64_t stopping_gc = 0, stopping_other = 0, total_gc = 0, total_other = 0;  // timeHistogram; from 1.22
  uint64_t pause_gc_old = 0;   // before 1.22: memstats' histogram of GC pauses
  uint64_t allgs = 0, allglen = 0;
  uint64_t heap_live = 0;      // bytes, uint64
  uint64_t gc_cycles = 0;      // uint32, completed cycles (memstats.numgc)
  uint64_t wait_reasons = 0;   // runtime.waitReasonStrings: Go string headers
  uint64_t stw_reasons = 0;    // runtime.stwReasonStrings (from 1.21), 0 where absent
  uint32_t wait_reason_count = 0, stw_reason_count = 0;
};

// What is known of an executable, by itself. Addresses as linked.
struct Binary {
  Version version;
  std::string main_module, arch;  // "amd64"
  bool pie = false, cgo = false, has_symbols = false, has_dwarf = false;
  Layout layout;
  Globals globals;
  uint64_t text_start = 0;     // of the Go code (runtime.text)
  // Of the loadable segment that holds it, for the load bias: a mapping of that file offset begins at bias + address, both rounded
  // down to a page.
  uint64_t segment_address = 0, segment_offset = 0;
  std::array<std::optional<Function>, kTargets> targets;
  std::vector<std::string> missing = {};  // what was not found, one sentence each
  [[nodiscard]] const std::optional<Function>& target(Target which) const { return targets[static_cast<size_t>(which)]; }
};

// Reads an executable through its descriptor, which stays the caller's and whose offset is not used. Everything in it is hostile:
// sizes, counts and recursion have limits. kUnsupported: not Go, or a Go or an architecture that is not served (says which);
// kInvalid: damaged; kTooLarge.
[[nodiscard]] Result<Binary> analyse(int fd);

// Names of functions by address, for start functions; from .gopclntab or .symtab. Answers are limited in length.
class FunctionNames {
 public:
  [[nodiscard]] static Result<FunctionNames> read(int fd);
  [[nodiscard]] std::optional<std::string> at(uint64_t address) const;  // as linked

 private:
  static constexpr size_t kMaxNames = 128U << 20, kMaxName = 256;
  struct Row {
    uint64_t address, size;
    uint32_t name;
  };
  std::vector<Row> rows_;
  std::string names_;
};

}  // namespace mapshift::observe::go
