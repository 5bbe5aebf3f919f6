// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/log.h"
#include "update/planner_links.h"
#include "update/run.h"

namespace mapshift::update {
namespace {

constexpr int kMaxPrecopyPasses = 30;
constexpr uint64_t kFewKeys = 64;        // moved by a pass: not worth another one before the swap
constexpr double kStillFalling = 0.9;    // of what the pass before moved
constexpr int kCleanPasses = 2;          // one pass can miss a key that is being replaced
constexpr double kWarmShare = 0.02;      // of a core, at most, for keeping the old generation warm
constexpr Nanos kWarmInterval = std::chrono::seconds(1);
constexpr double kCanaryShare = 0.1;     // likewise while both generations write: what each reads of the other is as old as a pass
constexpr Nanos kCanaryInterval = std::chrono::milliseconds(100);

uint64_t moved(const PassReport& report) { return report.added + report.changed + report.deleted; }

}  // namespace

Status Run::open_pairs() {
  for (size_t i = 0; i < input_.plan.maps.size(); ++i) {
    const MapPlan& map = input_.plan.maps[i];
    if (!map.sync) continue;
    SyncSpec spec = *map.sync;
    spec.follow_writes = true;
    MS_TRY(auto sync, kernel_.open_sync(spec, paths_.map(input_.plan.from.generation, map.from),
                                        paths_.map(input_.plan.to.generation, map.name), paths_.sync(map.name)));
    pairs_.push_back({&map, std::move(sync), i});
  }
  return {};
}

void Run::account(Pair& pair, const PassReport& report, SyncPhase phase) {
  publish_record(
      [&](UpdateRecord& record) {
        MapRecord& map = record.maps.at(pair.record);
        ++map.passes;
        map.keys = std::max<uint64_t>(map.keys, report.keys);
        map.added += report.added;
        map.changed += report.changed;
        map.deleted += report.deleted;
        map.conflicts += report.conflicts + report.unsafe_wide + report.dropped_deltas;
        map.clamped += report.clamped;
        map.unsynced = phase == SyncPhase::kLiveNew ? report.full0 + report.base_full : 0;
        map.progress = 1.0;
      },
      false);
  observer_.passed(record(), pair.plan->name, report);
}

Result<PassReport> Run::pass(Pair& pair, SyncPhase phase, bool complete) {
  auto report = pair.sync->pass(phase, complete);
  if (!report) return report;
  pair.cost = report->ended - report->began;
  account(pair, *report, phase);
  if (phase != SyncPhase::kPrecopy) return report;
  if (report->base_full != 0) {
    return fail(ErrorCode::kTooLarge, "map " + pair.plan->name + ": its keys come and go faster than the record of what was reconciled is cleaned (" +
                                          std::to_string(report->base_full) + " keys found no room): update at a quieter time, or raise max_entries");
  }
  if (report->full1 != 0) {
    return fail(ErrorCode::kTooLarge, "map " + pair.plan->name + " of the new generation is full: " + std::to_string(report->full1) +
                                          " keys found no room: raise its max_entries");
  }
  return report;
}

Status Run::precopy() {
  const Nanos deadline = monotonic_now() + input_.limits.migration_timeout;
  for (Pair& pair : pairs_) MS_CHECK(precopy_one(pair, deadline));
  // While one map was copied the others went on: one more look at each.
  if (pairs_.size() > 1) {
    for (Pair& pair : pairs_) {
      MS_CHECK(interrupted());
      MS_TRY([[maybe_unused]] const PassReport report, pass(pair, SyncPhase::kPrecopy, false));
    }
  }
  return {};
}

// Passes until one finds few keys, or what they find stops falling, like the migration of a running virtual machine.
Status Run::precopy_one(Pair& pair, Nanos deadline) {
  uint64_t before = UINT64_MAX;
  for (int n = 0; n < kMaxPrecopyPasses; ++n) {
    MS_CHECK(interrupted());
    MS_TRY(const PassReport report, pass(pair, SyncPhase::kPrecopy, false));
    const Nanos now = monotonic_now();
    if (report.ended - report.began > input_.limits.stall_timeout) {
      return fail(ErrorCode::kTimeout, "map " + pair.plan->name + ": one pass took longer than limits.stall_timeout (" +
                                           format_duration(input_.limits.stall_timeout) + ")");
    }
    if (now > deadline) {
      return fail(ErrorCode::kTimeout, "map " + pair.plan->name + " was not copied within limits.migration_timeout (" +
                                           format_duration(input_.limits.migration_timeout) + ")");
    }
    const uint64_t found = moved(report);
    if (found <= std::max(kFewKeys, report.keys / 1000)) return {};
    if (n > 0 && static_cast<double>(found) > kStillFalling * static_cast<double>(before)) return {};
    before = found;
  }
  return {};
}

// Waits for the programs of the passive side to end, then moves what they left behind. Who holds the passive map open in
// user space may write on and on: that travels with the passes of the bake, and is said.
Status Run::settle(SyncPhase phase, Nanos timeout) {
  MS_CHECK(kernel_.grace_period());
  // Sockets that run on with the passive side's programs write to its map for as long as they are open: the plan says so.
  const bool writers_stay = leaves_sockets(input_.plan);
  const Nanos deadline = monotonic_now() + timeout;
  for (Pair& pair : pairs_) {
    for (int clean = 0; clean < kCleanPasses;) {
      MS_TRY(const PassReport report, pass(pair, phase, true));
      clean = report.settled() || writers_stay ? clean + 1 : 0;
      if (phase == SyncPhase::kLiveNew && !interrupted()) break;  // whoever ends it need not wait for such a writer
      if (clean != 0 || monotonic_now() < deadline) continue;
      const std::string map = pair.plan->name;
      warn("not-settled", "maps." + map,
           "something besides the module's programs still writes to the map that no longer runs: a process that holds it open");
      break;
    }
  }
  return {};
}

// During the bake: the old generation stays as fresh as a small share of a core allows. During a canary: both.
void Run::keep_warm() {
  const Nanos now = monotonic_now();
  if (now < next_warm_) return;
  Nanos cost{0};
  for (Pair& pair : pairs_) {
    if (auto report = pass(pair, live_, true); !report) {
      log::error("a pass failed", {{"update_id", input_.record.id}, {"map", pair.plan->name}, {"error", report.error().message}});
      if (!pair.failing_since) pair.failing_since = now;
    } else {
      pair.failing_since.reset();
    }
    cost += pair.cost;
  }
  const bool both = live_ == SyncPhase::kLiveOld;
  const auto rest = std::chrono::duration_cast<Nanos>(cost / (both ? kCanaryShare : kWarmShare));
  next_warm_ = monotonic_now() + std::max(both ? kCanaryInterval : kWarmInterval, rest);
}

// What could not be done is said in the record: it keeps nobody from committing what was settled after the swap.
void Run::verify() {
  for (Pair& pair : pairs_) {
    const std::string where = "maps." + pair.plan->name;
    if (auto last = pass(pair, SyncPhase::kLiveNew, true); !last) {
      warn("not-verified", where, "the last pass failed, so that late writes to the old map may have stayed there: " + last.error().message);
    }
    auto report = pair.sync->verify();
    if (!report) {
      warn("not-verified", where, "the maps could not be compared: " + report.error().message);
      continue;
    }
    publish_record([&](UpdateRecord& record) { record.maps.at(pair.record).mismatched = report->mismatched; }, false);
    observer_.verified(record(), pair.plan->name, *report);
  }
}

}  // namespace mapshift::update
