// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "observe/changes/change.h"
#include "observe/changes/choice.h"
#include "observe/histogram.h"

namespace mapshift {
struct LoadRequest;
struct ObjectSpec;
}  // namespace mapshift

namespace mapshift::observe::changes {

struct Settings {
  // In bpffs, such as <bpffs>/mapshift/changes~ ('~' so that it is no module's name). Ring, slots and their numbers are
  // pinned there: programs go on writing while the agent restarts, and the numbers go on.
  std::string pin_dir;
  uint64_t ring_bytes = 16u << 20;  // a power of two of pages; a ring that is pinned already keeps its size
  size_t history = 1u << 15;        // changes kept for each map: how far a subscriber may fall behind
};

// What to watch. The map is named, not opened: it may not be there yet, or any more, and follows hot updates.
struct Watch {
  MapName name;
  std::string pin;                   // of the active generation's map; opened by watch() and retarget()
  std::vector<Source> sources = {};  // empty: the best that is to be had
  Mode mode = Mode::kEvents;
  Nanos pull_interval = std::chrono::milliseconds(200);  // kPull, and wherever scanning is the source
  Nanos silence = std::chrono::seconds(5);               // kHybrid
  bool keys = false, values = false; // whether their bytes may leave the kernel
  bool instrumented = false;         // the running generation was loaded with this map's slot (Stream::prepare)
  std::optional<bool> programs_write = {};  // whether the module's programs write it, where somebody knows
};

// Totals since the agent began; they never fall while the map is watched.
struct MapReport {
  MapName name;
  uint32_t map_id = 0;
  uint64_t version = 0;      // the last number that was handed out
  Choice choice;             // which sources, and why
  Mode mode = Mode::kEvents;
  std::array<std::array<uint64_t, kSources>, kOps> seen = {};  // by op - 1 and source - 1
  uint64_t lost = 0;         // numbers that never came: produced = seen + lost, once the ring is drained
  std::map<std::string, uint64_t> lost_by = {};  // the kernel's own counters: "ring_full", "unreadable"
  uint64_t malformed = 0;    // records of this map that were not as declared
  uint64_t late = 0;         // came although they had been given up: 0, or the kernel is not as we know it
  uint64_t scans = 0, scanned_keys = 0, deferred = 0;  // deferred: differences that a later scan will report
  std::string problem = {};  // why the map is not watched now though it should be; empty when all is well
};

struct Stats {
  std::vector<MapReport> maps;
  std::array<Histogram, kSources> latency;  // write to consumer, by source - 1
  uint64_t records = 0, malformed = 0;      // malformed: too short, or of no slot
  uint64_t unclaimed = 0;                   // of maps that nobody watches any more
  uint64_t missed = 0;                      // events that the kernel kept from the probes: repaired by a resync
  size_t subscribers = 0;
  uint64_t resyncs = 0;                     // told to subscribers
};

// A subscriber's place in one map's stream. One thread at a time. What it has not read is kept for it in the map's history, so
// the bound of its queue is Settings::history; who falls behind that is told `slow` and goes on with the newest.
class Subscription {
 public:
  virtual ~Subscription() = default;
  // At most `limit` events, in order; waits up to `wait` for the first one, and may then be empty. kNotFound after the map
  // was unwatched, once everything was read.
  [[nodiscard]] virtual Result<std::vector<Event>> next(Nanos wait, size_t limit) = 0;
};

// All change streams of this host: one reader thread, one ring. Thread-safe. Subscriptions must be gone before it.
class Stream {
 public:
  virtual ~Stream() = default;

  // Before a generation of `module` is loaded: gives each map that its object logs (MS_LOGGED) a slot, and the request what it
  // takes to write there. Returns the full names of those maps: of `request.instances`, where each has its own. Without the call an object's logging is dead code and its own maps
  // of MS_CHANGES_PREFIX are small and unused. Plans must leave maps of that prefix alone.
  [[nodiscard]] virtual Result<std::vector<std::string>> prepare(const std::string& module, const ObjectSpec& object,
                                                                 LoadRequest& request) = 0;
  // Begins to watch, or changes how. kNotFound: nothing is pinned there. kUnsupported with the reason: no source can see this map.
  [[nodiscard]] virtual Result<Choice> watch(const Watch& watch) = 0;
  virtual void unwatch(const MapName& name) = 0;
  // After a module was unloaded and its last program has ended: its maps are not watched any more and their slots are free. There
  // are 1023 on a host. A map of the same name that is loaded later begins with new numbers.
  virtual Status release(const std::string& module) = 0;
  // After a swap or a rollback: the name stands for another kernel object now (or the same one, then nothing happens). Numbers
  // go on. What a new layout makes of old values is not a change: when the map was not reused, subscribers get `map-replaced`.
  [[nodiscard]] virtual Result<Choice> retarget(const MapName& name, const std::string& pin, bool instrumented,
                                                std::optional<bool> programs_write) = 0;

  // From the change after `since`; without it from now. Whatever is wrong with `since` is told by a first Resync, never by an
  // error. kNotFound: not watched.
  [[nodiscard]] virtual Result<std::unique_ptr<Subscription>> subscribe(const MapName& name, std::optional<uint64_t> since) = 0;
  // The number of the last change: who reads it, then the map, then subscribes from it misses nothing. kNotFound.
  [[nodiscard]] virtual Result<uint64_t> version(const MapName& name) = 0;
  // Scans at once, whatever the mode, and returns the version after it. kUnsupported.
  [[nodiscard]] virtual Result<uint64_t> scan(const MapName& name) = 0;
  [[nodiscard]] virtual Stats stats() = 0;
};

// Makes or takes up the pinned maps and starts the reader.
[[nodiscard]] Result<std::unique_ptr<Stream>> open_stream(const Settings& settings);

}  // namespace mapshift::observe::changes
