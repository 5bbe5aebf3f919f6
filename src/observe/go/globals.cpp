// SPDX-License-Identifier: Apache-2.0
#include "observe/go/globals.h"

#include <utility>

namespace mapshift::observe::go {
namespace {

// Everything but the texts, for whatever is done to all of them.
constexpr uint64_t Globals::* kHistograms[] = {&Globals::time_to_run, &Globals::stopping_gc, &Globals::stopping_other,
                                               &Globals::total_gc,    &Globals::total_other, &Globals::pause_gc_old};
constexpr uint64_t Globals::* kNumbers[] = {&Globals::allgs, &Globals::allglen, &Globals::heap_live, &Globals::gc_cycles};

uint64_t address_of(const DataSymbols& symbols, std::string_view name) {
  const auto found = symbols.find(name);
  return found == symbols.end() ? 0 : found->second.address;
}

uint64_t field_of(const DataSymbols& symbols, const StructLayouts& structs, std::string_view variable, std::string_view structure,
                  std::string_view member) {
  const uint64_t base = address_of(symbols, variable);
  const auto layout = structs.find(structure);
  if (base == 0 || layout == structs.end()) return 0;
  const auto offset = layout->second.members.find(member);
  return offset == layout->second.members.end() ? 0 : base + offset->second;
}

bool writable(const ElfImage& image, uint64_t address, uint64_t size) {
  const Segment* segment = image.segment(address, size);
  return segment != nullptr && segment->writable;
}

}  // namespace

const std::vector<std::string_view>& wanted_symbols() {
  static const std::vector<std::string_view> kWanted = {
      "runtime.sched",       "runtime.memstats", "runtime.gcController",      "runtime.allgs",
      "runtime.allglen",     "runtime.waitReasonStrings", "runtime.stwReasonStrings"};
  return kWanted;
}

Globals globals_by_symbol(const DataSymbols& symbols, const StructLayouts& structs) {
  const auto sched = [&](std::string_view member) { return field_of(symbols, structs, "runtime.sched", "runtime.schedt", member); };
  Globals out;
  out.time_to_run = sched("timeToRun");
  out.stopping_gc = sched("stwStoppingTimeGC");
  out.stopping_other = sched("stwStoppingTimeOther");
  out.total_gc = sched("stwTotalTimeGC");
  out.total_other = sched("stwTotalTimeOther");
  out.pause_gc_old = field_of(symbols, structs, "runtime.memstats", "runtime.mstats", "gcPauseDist");
  out.gc_cycles = field_of(symbols, structs, "runtime.memstats", "runtime.mstats", "numgc");
  out.heap_live = field_of(symbols, structs, "runtime.gcController", "runtime.gcControllerState", "heapLive");
  out.allgs = address_of(symbols, "runtime.allgs");
  out.allglen = address_of(symbols, "runtime.allglen");
  return out;
}

Globals globals_by_table(const DataSymbols& symbols, const Layout& layout) {
  Globals out;
  const uint64_t sched = address_of(symbols, "runtime.sched");
  const auto at = [&](const std::optional<uint32_t>& offset) { return offset && sched != 0 ? sched + *offset : 0; };
  out.time_to_run = at(layout.sched_time_to_run);
  out.stopping_gc = at(layout.sched_stopping_gc);
  out.stopping_other = at(layout.sched_stopping_other);
  out.total_gc = at(layout.sched_total_gc);
  out.total_other = at(layout.sched_total_other);
  return out;
}

void merge_globals(Globals& into, const Globals& from) {
  for (const auto member : kHistograms) {
    if (into.*member == 0) into.*member = from.*member;
  }
  for (const auto member : kNumbers) {
    if (into.*member == 0) into.*member = from.*member;
  }
}

void drop_impossible(Globals& globals, const ElfImage& image, uint32_t histogram_size) {
  for (const auto member : kHistograms) {
    if (globals.*member % 8 != 0 || !writable(image, globals.*member, histogram_size)) globals.*member = 0;
  }
  for (const auto member : kNumbers) {
    if (globals.*member % 4 != 0 || !writable(image, globals.*member, member == &Globals::allgs ? 24 : 8)) globals.*member = 0;
  }
}

}  // namespace mapshift::observe::go
