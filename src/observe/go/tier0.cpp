// SPDX-License-Identifier: Apache-2.0
#include "observe/go/tier0.h"

#include <thread>

namespace mapshift::observe::go {
namespace {

constexpr std::array<const char*, Figures::kHistograms> kNames = {"scheduling latencies", "stopping times of the collector",
                                                                  "other stopping times", "pauses of the collector", "other pauses"};

std::array<uint64_t, Figures::kHistograms> addresses(const Globals& globals) {
  const uint64_t gc = globals.total_gc != 0 ? globals.total_gc : globals.pause_gc_old;
  return {globals.time_to_run, globals.stopping_gc, globals.stopping_other, gc, globals.total_other};
}

// The runtime times every 8th transition to running; a CPU makes at most a few million a second.
uint64_t most_observations(Nanos uptime) {
  static constexpr uint64_t kPerCpuSecond = 1'000'000;
  const auto seconds = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(uptime).count()) + 2;
  return seconds * kPerCpuSecond * std::max(1U, std::thread::hardware_concurrency());
}

std::optional<std::string> implausible_histogram(size_t which, const Figures& now, const Figures* before, uint64_t most) {
  const auto& words = now.histograms[which];
  if (!words) return {};
  const auto* earlier = before != nullptr && before->histograms[which] ? &*before->histograms[which] : nullptr;
  uint64_t total = 0;
  for (size_t i = 0; i < words->size(); ++i) {
    const uint64_t count = (*words)[i];
    if (count > most || (total += count) > most)
      return std::string("the histogram of ") + kNames[which] + " has more observations than the process could have made";
    if (earlier != nullptr && count < (*earlier)[i]) return std::string("a count of the histogram of ") + kNames[which] + " fell";
  }
  return {};
}

}  // namespace

std::optional<uint64_t> Figures::observed(Which which) const {
  if (!histograms[which]) return {};
  return observations(*histograms[which]);
}

Result<Figures> read_figures(const Memory& memory, const Binary& binary, uint64_t bias) {
  Figures out;
  std::vector<Piece> pieces;
  const auto form = histogram_form(binary.layout.histogram_size);
  const auto where = addresses(binary.globals);
  for (size_t i = 0; i < where.size(); ++i) {
    if (where[i] == 0 || !form) continue;
    out.histograms[i].emplace(size_of(*form) / sizeof(uint64_t));
    pieces.push_back({where[i] + bias, out.histograms[i]->data(), size_of(*form)});
  }
  if (binary.globals.heap_live != 0) pieces.push_back({binary.globals.heap_live + bias, &out.heap_live.emplace(), sizeof(uint64_t)});
  if (binary.globals.gc_cycles != 0) pieces.push_back({binary.globals.gc_cycles + bias, &out.gc_cycles.emplace(), sizeof(uint32_t)});
  if (binary.globals.allgs != 0 && binary.globals.allglen != 0) {
    // The length first: the runtime publishes it after the array that holds so many.
    pieces.push_back({binary.globals.allglen + bias, &out.allglen.emplace(), sizeof(uint64_t)});
    pieces.push_back({binary.globals.allgs + bias, &out.allgs, sizeof(uint64_t)});
  }
  if (pieces.empty()) return fail(ErrorCode::kUnsupported, "none of the runtime's figures was found in the executable");
  MS_CHECK(memory.read(pieces));
  return out;
}

std::optional<std::string> implausible(const Figures& now, const Figures* before, Nanos uptime) {
  const uint64_t most = most_observations(uptime);
  for (size_t i = 0; i < Figures::kHistograms; ++i)
    if (auto why = implausible_histogram(i, now, before, most)) return why;
  static constexpr uint64_t kMostGoroutines = uint64_t{1} << 32, kMostHeap = uint64_t{1} << 47;
  if (now.allglen && (*now.allglen > kMostGoroutines || (*now.allglen > 0 && (now.allgs == 0 || now.allgs % 8 != 0))))
    return "the list of goroutines is none";
  if (now.heap_live && *now.heap_live > kMostHeap) return "the heap is larger than any address space";
  if (before == nullptr) return {};
  if (now.allglen && before->allglen && *now.allglen < *before->allglen) return "the list of goroutines became shorter";
  // 32 bits: it may run over once in years.
  if (now.gc_cycles && before->gc_cycles && *now.gc_cycles < *before->gc_cycles && *before->gc_cycles < 0xf0000000U)
    return "the count of collections fell";
  return {};
}

void fill(const Figures& figures, const Binary& binary, ProcessReport& report) {
  const auto form = histogram_form(binary.layout.histogram_size);
  const auto shown = [&](Figures::Which which) { return thin(*form, *figures.histograms[which]); };
  if (figures.histograms[Figures::kSched]) report.sched_latency = shown(Figures::kSched);
  if (figures.histograms[Figures::kTotalGc]) report.stw_pause["gc"] = shown(Figures::kTotalGc);
  if (figures.histograms[Figures::kTotalOther]) report.stw_pause["other"] = shown(Figures::kTotalOther);
  if (figures.histograms[Figures::kStoppingGc]) report.stw_stopping["gc"] = shown(Figures::kStoppingGc);
  if (figures.histograms[Figures::kStoppingOther]) report.stw_stopping["other"] = shown(Figures::kStoppingOther);
  report.heap_bytes = figures.heap_live;
  if (figures.gc_cycles) report.gc_cycles = *figures.gc_cycles;
}

}  // namespace mapshift::observe::go
