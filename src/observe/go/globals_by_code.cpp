// SPDX-License-Identifier: Apache-2.0
// Patterns, as the compilers of Go 1.18 to 1.26 lay these functions out.
#include <set>

#include "observe/go/globals.h"

namespace mapshift::observe::go {
namespace {

using Access = Instruction::Access;
using Flow = Instruction::Flow;
using Instructions = std::vector<Instruction>;

constexpr size_t kArgumentReach = 12;  // instructions between an argument's load and the call

// Histograms that a function records into, in order of address: LEA &histogram, AX; ...; CALL record.
std::set<uint64_t> recorded_by_call(const Instructions& code, uint64_t record) {
  std::set<uint64_t> out;
  for (size_t i = 0; i < code.size(); ++i) {
    if (code[i].flow != Flow::kCall || code[i].target != record || record == 0) continue;
    for (size_t back = 1; back <= kArgumentReach && back <= i && code[i - back].flow != Flow::kCall; ++back) {
      if (!code[i - back].loads_first_argument) continue;
      out.insert(code[i - back].location);
      break;
    }
  }
  return out;
}

// To 1.19 record() is inlined. It adds to the underflow, which follows the counts, and indexes the counts from their start: two
// addresses that lie exactly the counts' size apart.
std::set<uint64_t> recorded_inline(const Instructions& code, uint32_t histogram_size) {
  std::set<uint64_t> loaded, out;
  for (const auto& one : code) {
    if (one.access == Access::kAddress) loaded.insert(one.location);
  }
  for (const auto& one : code) {
    if (one.access != Access::kAtomicAdd || one.location < histogram_size) continue;
    const uint64_t start = one.location + 8 - histogram_size;
    if (loaded.contains(start)) out.insert(start);
  }
  return out;
}

std::set<uint64_t> recorded(Code& code, std::string_view function, const Layout& layout) {
  const auto* record = code.place("runtime.(*timeHistogram).record");
  const auto& instructions = code.instructions(function);
  return record != nullptr ? recorded_by_call(instructions, record->address) : recorded_inline(instructions, layout.histogram_size);
}

// The pair for collections and for other reasons: neighbours in the structure.
void take_pair(const std::set<uint64_t>& found, uint32_t histogram_size, uint64_t& gc, uint64_t& other) {
  if (found.size() != 2 || *found.rbegin() - *found.begin() != histogram_size) return;
  gc = *found.begin();
  other = *found.rbegin();
}

// allgadd() appends to the slice, that is it writes three neighbouring words, and then publishes the length.
void take_goroutines(const Instructions& code, Globals& out) {
  std::set<uint64_t> written, candidates;
  for (const auto& one : code) {
    if (one.access == Access::kWrite && one.width == 8) written.insert(one.location);
  }
  for (const uint64_t at : written) {
    if (written.contains(at + 8) && written.contains(at + 16)) candidates.insert(at);
  }
  if (candidates.size() != 1) return;
  out.allgs = *candidates.begin();
  for (size_t i = 0; i < code.size(); ++i) {
    if (code[i].access != Access::kExchange || code[i].width != 8 || code[i].location == 0) continue;
    for (size_t back = 1; back <= 4 && back <= i; ++back) {
      if (code[i - back].access == Access::kRead && code[i - back].location == out.allgs + 8) out.allglen = code[i].location;
    }
  }
}

// gcMarkTermination() counts completed cycles and, in the word after it, forced ones.
uint64_t find_cycles(const Instructions& code) {
  std::set<uint64_t> counted, candidates;
  for (const auto& one : code) {
    if (one.access == Access::kIncrement && one.width == 4 && one.location != 0) counted.insert(one.location);
  }
  for (const uint64_t at : counted) {
    if (counted.contains(at + 4)) candidates.insert(at);
  }
  return candidates.size() == 1 ? *candidates.begin() : 0;
}

// (*gcControllerState).update() adds to the live heap and to the word after it, the heap that is to be scanned.
uint64_t find_heap_live(const Instructions& code) {
  std::set<uint64_t> added;
  for (const auto& one : code) {
    if (one.access == Access::kAtomicAdd && one.width == 8 && one.location != 0) added.insert(one.location);
  }
  return added.size() == 2 && *added.rbegin() - *added.begin() == 8 ? *added.begin() : 0;
}

}  // namespace

Globals globals_by_code(Code& code, const Layout& layout) {
  Globals out;
  const auto run = recorded(code, "runtime.casgstatus", layout);
  if (run.size() == 1) out.time_to_run = *run.begin();
  if (layout.sched_total_gc) {
    take_pair(recorded(code, "runtime.startTheWorldWithSema", layout), layout.histogram_size, out.total_gc, out.total_other);
    take_pair(recorded(code, "runtime.stopTheWorldWithSema", layout), layout.histogram_size, out.stopping_gc, out.stopping_other);
  } else {
    const auto pauses = recorded(code, "runtime.gcMarkTermination", layout);
    if (pauses.size() == 1) out.pause_gc_old = *pauses.begin();
  }
  take_goroutines(code.instructions("runtime.allgadd"), out);
  out.gc_cycles = find_cycles(code.instructions("runtime.gcMarkTermination"));
  out.heap_live = find_heap_live(code.instructions("runtime.(*gcControllerState).update"));
  return out;
}

}  // namespace mapshift::observe::go
