// SPDX-License-Identifier: Apache-2.0
// LinuxStream's calls of those who read: subscribers and statistics.
#include "observe/changes/stream_impl.h"

namespace mapshift::observe::changes {
namespace {

tl::unexpected<Error> not_watched(const MapName& name) {
  return fail(ErrorCode::kNotFound, name.module + "/" + name.map + " is not watched; name it in \"changes\" of the configuration");
}

}  // namespace

Result<std::unique_ptr<Subscription>> LinuxStream::subscribe(const MapName& name, std::optional<uint64_t> since) {
  std::shared_ptr<Topic> topic;
  TopicSubscription::Host host;
  {
    const std::lock_guard lock(mutex_);
    const Watched* watched = find(name);
    if (watched == nullptr) return not_watched(name);
    topic = watched->topic;
    host.version = [this, slot = watched->slot] { return log_->sequence(slot); };
  }
  host.topic = [this, name]() -> std::shared_ptr<Topic> {
    const std::lock_guard lock(mutex_);
    const Watched* watched = find(name);
    return watched == nullptr ? nullptr : watched->topic;
  };
  host.subscribers = subscribers_;
  host.resyncs = resyncs_;
  return std::make_unique<TopicSubscription>(std::move(host), std::move(topic), since);
}

Result<uint64_t> LinuxStream::version(const MapName& name) {
  const std::lock_guard lock(mutex_);
  const Watched* watched = find(name);
  if (watched == nullptr) return not_watched(name);
  return log_->sequence(watched->slot);
}

Result<uint64_t> LinuxStream::scan(const MapName& name) {
  std::shared_ptr<MapScan> scan;
  uint32_t slot = 0;
  {
    const std::lock_guard lock(mutex_);
    const Watched* watched = find(name);
    if (watched == nullptr) return not_watched(name);
    scan = watched->scan;
    slot = watched->slot;
  }
  if (!scan) return fail(ErrorCode::kUnsupported, name.module + "/" + name.map + " is not scanned; its sources are others");
  MS_CHECK(scan->pass());
  return log_->sequence(slot);
}

MapReport LinuxStream::stats_of(Watched& watched) {
  MapReport out;
  out.name = watched.watch.name;
  out.map_id = watched.shape.id;
  out.version = log_->sequence(watched.slot);
  out.choice = watched.choice;
  out.mode = watched.watch.mode;
  out.problem = watched.problem;
  const Topic& topic = *watched.topic;
  for (size_t op = 0; op < kOps; ++op) {
    for (size_t source = 0; source < kSources; ++source) out.seen[op][source] = watched.seen_before[op][source] + topic.seen(op, source);
  }
  out.lost = watched.lost_before + topic.lost();
  out.malformed = watched.malformed_before + topic.malformed();
  out.late = topic.late();
  if (const auto lost = log_->lost(watched.slot)) {
    out.lost_by = {{"ring_full", lost->full - watched.lost_at_start.full},
                   {"unreadable", lost->unreadable - watched.lost_at_start.unreadable}};
  }
  MapScan::Totals scans = watched.scans_before;
  if (watched.scan) {
    const auto now = watched.scan->totals();
    scans.passes += now.passes;
    scans.keys += now.keys;
    scans.deferred += now.deferred;
    if (out.problem.empty()) out.problem = now.problem;
  }
  out.scans = scans.passes;
  out.scanned_keys = scans.keys;
  out.deferred = scans.deferred;
  return out;
}

Stats LinuxStream::stats() {
  const std::lock_guard lock(mutex_);
  Stats out;
  for (auto& [name, watched] : maps_) out.maps.push_back(stats_of(watched));
  out.latency = reader_.latency();
  out.records = reader_.records();
  out.malformed = reader_.malformed();
  out.unclaimed = reader_.unclaimed();
  out.missed = sources_.missed();
  out.subscribers = subscribers_->load(std::memory_order_relaxed);
  out.resyncs = resyncs_->load(std::memory_order_relaxed);
  return out;
}

// What the kernel kept from the probes left no gap in any map's numbers, so whoever listens to a map that they see must read it again.
void LinuxStream::tick() {
  const std::lock_guard lock(mutex_);
  const uint64_t missed = sources_.missed();
  if (missed == missed_) return;
  missed_ = missed;
  for (auto& [name, watched] : maps_) {
    bool probed = false;
    for (const Source source : watched.choice.sources) probed |= source == Source::kFexit || source == Source::kSyscall;
    if (!probed) continue;
    reader_.between_batches([&] { watched.topic->resync(log_->sequence(watched.slot), ResyncReason::kMissed); });
  }
  bell_.ring();
}

}  // namespace mapshift::observe::changes
