// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <thread>

#include "agent/changes.h"
#include "base/clock.h"
#include "kernel/instance_name.h"
#include "kernel/map_contents.h"
#include "mapshift/changes.h"
#include "update/paths.h"

namespace mapshift::agent {
namespace {

using observe::changes::MapName;

constexpr Nanos kToldWithin = std::chrono::seconds(1);

}  // namespace

std::string sources_of(const observe::changes::Choice& choice) {
  std::string out;
  for (const auto source : choice.sources) {
    if (!out.empty()) out += '+';
    out += to_string(source);
  }
  return out;
}

std::string Changes::forecast(const MapName& name, const update::GenerationInput& next) {
  if (next.manifest.ringbufs.contains(name.map)) return "ring: the module's own ring buffer, declared in its manifest";
  {
    const std::lock_guard lock(mutex_);
    if (!maps_.contains(name)) return {};
  }
  const std::string variable = MS_CHANGES_VARIABLE + std::string(base_name(name.map));
  for (const MapSpec& map : next.object.maps)
    for (const Variable& one : map.variables)
      if (one.name == variable) return "instrumented: the object logs this map (MS_LOGGED); what else sees it, status says once it runs";
  const auto now = describe(name);
  if (!now || now->source.empty()) return "chosen when it runs: the object does not log this map";
  return now->source + ", as now: " + now->reason;
}

Result<std::unique_ptr<observe::changes::RingSubscription>> Changes::subscribe_ring(const MapName& name, std::optional<uint64_t> since) {
  return rings_.subscribe(name, since);
}

std::optional<uint64_t> Changes::ring_version(const MapName& name) {
  return rings_.has(name) ? std::optional(rings_.version(name)) : std::nullopt;
}

std::optional<update::MapChanges> Changes::describe(const MapName& name) {
  if (auto ring = rings_.describe(name)) return ring;
  const std::lock_guard lock(mutex_);
  const auto found = maps_.find(name);
  if (found == maps_.end()) return {};
  update::MapChanges out;
  out.mode = to_string(found->second.watch.mode);
  out.problem = found->second.problem;
  if (!found->second.running) return out;
  for (const observe::changes::MapReport& map : stream_->stats().maps) {
    if (map.name != name) continue;
    out.source = sources_of(map.choice);
    out.complete = map.choice.complete;
    out.reason = map.choice.reason;
    out.version = map.version;
    out.lost = map.lost;
    if (!map.problem.empty()) out.problem = map.problem;
    for (const auto& op : map.seen)
      for (const uint64_t count : op) out.seen += count;
  }
  return out;
}

// At each scrape.
void Changes::collect(metrics::Metrics& out) {
  rings_.collect(out);
  observe::changes::Stream* stream = nullptr;
  {
    const std::lock_guard lock(mutex_);
    stream = stream_.get();
  }
  if (stream != nullptr) out.set_changes(stream->stats());
}

Result<uint64_t> Changes::replace_map(const MapName& name, uint64_t if_version, const std::vector<http::MapEntry>& entries) {
  const std::lock_guard one(replacing_);
  MS_TRY(const uint64_t before, version(name));
  MS_CHECK(check_replaceable(pin(name)));
  if (before != if_version) {
    return fail(ErrorCode::kStale, "map \"" + name.module + "/" + name.map + "\" is at version " + std::to_string(before) + ", not " +
                                       std::to_string(if_version) + ": read it again, and decide on what it holds now");
  }
  std::vector<MapElement> elements;
  elements.reserve(entries.size());
  for (const http::MapEntry& entry : entries) elements.push_back({entry.key, entry.value});
  MS_CHECK(replace_contents(pin(name), elements));
  // The change is told like any other, a moment later. Without waiting for it the version before would be good once more.
  const Nanos deadline = monotonic_now() + kToldWithin;
  for (;;) {
    MS_TRY(const uint64_t after, version(name));
    if (after > before) return after;
    if (monotonic_now() > deadline) {
      return fail(ErrorCode::kTimeout, "the contents of \"" + name.module + "/" + name.map +
                                           "\" were replaced, but its version did not move: no source tells of changes of this map");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace mapshift::agent
