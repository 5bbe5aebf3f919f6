// SPDX-License-Identifier: Apache-2.0
#include "metrics/change_series.h"

#include <algorithm>
#include <array>

namespace mapshift::metrics {
namespace {

using observe::changes::MapReport;
using observe::changes::Op;
using observe::changes::Source;

constexpr std::array kAllOps{Op::kInsert, Op::kUpdate, Op::kDelete};
constexpr std::array kAllSources{Source::kFexit, Source::kInstrumented, Source::kSyscall, Source::kScan};

void show_seen(Series& series, const MapReport& map) {
  for (const Op op : kAllOps) {
    for (const Source source : kAllSources) {
      const uint64_t seen = map.seen[static_cast<size_t>(op) - 1][static_cast<size_t>(source) - 1];
      const bool serves = std::ranges::find(map.choice.sources, source) != map.choice.sources.end();
      if (serves || seen > 0) series.set_total(Id::kMapChanges, {map.name.module, map.name.map, to_string(op), to_string(source)}, static_cast<double>(seen));
    }
  }
}

// What the kernel counted where it happened; numbers that are missing beside that have no reason that anybody knows.
void show_lost(Series& series, const MapReport& map) {
  std::map<std::string, uint64_t> lost = map.lost_by;
  for (const char* reason : {"ring_full", "unreadable", "unknown"}) lost.try_emplace(reason, 0);
  uint64_t explained = 0;
  for (const auto& [reason, count] : map.lost_by) explained += count;
  if (map.lost > explained) lost["unknown"] += map.lost - explained;
  lost["malformed"] = map.malformed;
  for (const auto& [reason, count] : lost)
    series.set_total(Id::kMapChangesLost, {map.name.module, map.name.map, reason}, static_cast<double>(count));
}

}  // namespace

void ChangeSeries::show(Series& series, const observe::changes::Stats& stats) {
  std::set<observe::changes::MapName> now;
  for (const MapReport& map : stats.maps) {
    now.insert(map.name);
    show_seen(series, map);
    show_lost(series, map);
  }
  for (const auto& gone : shown_) {
    if (now.contains(gone)) continue;
    series.remove(Id::kMapChanges, {gone.module, gone.map});
    series.remove(Id::kMapChangesLost, {gone.module, gone.map});
  }
  shown_ = std::move(now);
  for (const Source source : kAllSources)
    series.set_total(Id::kMapChangeLatency, {to_string(source)}, stats.latency[static_cast<size_t>(source) - 1]);
  series.set(Id::kMapChangeSubscribers, {}, static_cast<double>(stats.subscribers));
  series.set_total(Id::kMapChangeResyncs, {}, static_cast<double>(stats.resyncs));
}

void ChangeSeries::show_rings(Series& series, const std::vector<observe::changes::RingReport>& rings) {
  std::set<observe::changes::MapName> now;
  for (const observe::changes::RingReport& ring : rings) {
    const auto& [module, map] = ring.name;
    now.insert(ring.name);
    series.set_total(Id::kRingRecords, {module, map}, static_cast<double>(ring.records));
    series.set_total(Id::kRingMalformed, {module, map}, static_cast<double>(ring.malformed));
    series.set(Id::kRingBacklog, {module, map}, static_cast<double>(ring.backlog));
    series.set(Id::kRingSize, {module, map}, static_cast<double>(ring.size));
  }
  for (const auto& gone : rings_) {
    if (now.contains(gone)) continue;
    for (const Id id : {Id::kRingRecords, Id::kRingMalformed, Id::kRingBacklog, Id::kRingSize}) series.remove(id, {gone.module, gone.map});
  }
  rings_ = std::move(now);
}

}  // namespace mapshift::metrics
