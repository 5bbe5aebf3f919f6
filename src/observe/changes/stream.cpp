// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/stream.h"

#include <algorithm>
#include <cstring>

#include "kernel/instance_name.h"
#include "observe/changes/stream_impl.h"

namespace mapshift::observe::changes {
namespace {

std::string slot_name(const MapName& name) { return name.module + "/" + name.map; }

// Numbers of a new slot begin where no earlier life of the same map can have come to, so that a `since` from before a restart of
// the host is recognised: 2^20 a second since 1970, which stays exact in a JSON number until the year 2242.
uint64_t first_number() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count()) << 20;
}

bool has(const Choice& choice, Source source) { return std::ranges::find(choice.sources, source) != choice.sources.end(); }

// Programs log whether the agent is there or not; of the other sources' changes nothing is left from before it began to watch.
bool unseen_before(const Choice& choice, Mode mode) {
  return mode == Mode::kHybrid || std::ranges::any_of(choice.sources, [](Source source) { return source != Source::kInstrumented; });
}

uint32_t flags_of(const Choice& choice, bool keys, bool values) {
  uint32_t flags = 0;
  for (const Source source : choice.sources) flags |= MS_CHANGE_ON(static_cast<uint32_t>(source));
  if (keys) flags |= MS_CHANGE_KEYS;
  if (keys && values) flags |= MS_CHANGE_VALUES;
  return flags;
}

}  // namespace

Result<std::unique_ptr<Stream>> open_stream(const Settings& settings) {
  if (settings.history < 2 || (settings.history & (settings.history - 1)) != 0) {
    return fail(ErrorCode::kInvalid, "a history of " + std::to_string(settings.history) + " changes: use a power of two");
  }
  MS_TRY(auto opened, ChangeLog::open(settings.pin_dir, settings.ring_bytes));
  auto log = std::make_unique<ChangeLog>(std::move(opened));
  MS_TRY(auto port, LogPort::open(*log));
  return std::make_unique<LinuxStream>(settings, std::move(log), std::move(port));
}

LinuxStream::LinuxStream(const Settings& settings, std::unique_ptr<ChangeLog> log, std::unique_ptr<LogPort> port)
    : settings_(settings), log_(std::move(log)), port_(std::move(port)), sources_(*log_), reader_(*port_, bell_),
      scanner_([this] { tick(); }) {}

LinuxStream::~LinuxStream() {
  scanner_.stop();
  reader_.stop();
  for (auto& [name, watched] : maps_) {
    if (watched.topic) watched.topic->close();
  }
}

LinuxStream::Watched* LinuxStream::find(const MapName& name) {
  const auto found = maps_.find(name);
  return found == maps_.end() ? nullptr : &found->second;
}

Result<std::vector<std::string>> LinuxStream::prepare(const std::string& module, const ObjectSpec& object, LoadRequest& request) {
  const std::lock_guard lock(mutex_);
  constexpr std::string_view kVariable = MS_CHANGES_VARIABLE;
  std::vector<std::string> logged;
  for (const MapSpec& section : object.maps) {
    if (section.section != DataSection::kRodata) continue;
    for (const Variable& variable : section.variables) {
      if (!variable.name.starts_with(kVariable) || variable.size != sizeof(uint32_t)) continue;
      const std::string map = variable.name.substr(kVariable.size());
      if (std::ranges::find(object.maps, map, &MapSpec::name) == object.maps.end()) continue;
      const bool divided = request.instance_maps.contains(map);
      for (const std::string& instance : divided ? request.instances : std::vector<std::string>{""}) {
        const std::string own = instance_name(map, instance);
        MS_TRY(const uint32_t slot, log_->slot(slot_name({module, own}), first_number()));
        std::vector<std::byte> bytes(sizeof slot);
        std::memcpy(bytes.data(), &slot, sizeof slot);
        request.rodata[instance_name(variable.name, instance)] = std::move(bytes);
        logged.push_back(own);
      }
    }
  }
  if (!logged.empty()) log_->add_to(request);
  return logged;
}

Result<Choice> LinuxStream::watch(const Watch& watch) {
  const std::lock_guard lock(mutex_);
  MS_TRY(const uint32_t slot, log_->slot(slot_name(watch.name), first_number()));
  const auto [at, is_new] = maps_.try_emplace(watch.name);
  Watched& watched = at->second;
  if (is_new) {
    watched.slot = slot;
    if (const auto lost = log_->lost(slot)) watched.lost_at_start = *lost;
  }
  watched.watch = watch;
  auto choice = open(watched);
  if (!choice) {
    watched.problem = choice.error().message;
    if (is_new) forget(at);
  }
  close_unused_probes();
  reader_.start();
  return choice;
}

void LinuxStream::unwatch(const MapName& name) {
  const std::lock_guard lock(mutex_);
  if (const auto found = maps_.find(name); found != maps_.end()) forget(found);
  close_unused_probes();
}

Status LinuxStream::release(const std::string& module) {
  const std::lock_guard lock(mutex_);
  for (auto at = maps_.lower_bound({module, {}}); at != maps_.end() && at->first.module == module;) forget(at++);
  close_unused_probes();
  MS_TRY(const auto slots, log_->slots());
  for (const auto& [name, slot] : slots) {
    if (name.starts_with(module + "/")) MS_CHECK(log_->free_slot(name));
  }
  return {};
}

Result<Choice> LinuxStream::retarget(const MapName& name, const std::string& pin, bool instrumented,
                                     std::optional<bool> programs_write) {
  const std::lock_guard lock(mutex_);
  Watched* watched = find(name);
  if (watched == nullptr) return fail(ErrorCode::kNotFound, slot_name(name) + " is not watched");
  watched->watch.pin = pin;
  watched->watch.instrumented = instrumented;
  watched->watch.programs_write = programs_write;
  auto choice = open(*watched);
  if (!choice) watched->problem = choice.error().message;
  close_unused_probes();
  return choice;
}

void LinuxStream::forget(std::map<MapName, Watched>::iterator at) {
  Watched& watched = at->second;
  log_->set_flags(watched.slot, 0);
  if (watched.shape.id != 0) (void)log_->unbind(watched.shape.id);  // an id of a map that is gone is never used again
  close_scan(watched);
  reader_.remove(watched.slot);
  if (watched.topic) watched.topic->close();
  maps_.erase(at);
}

void LinuxStream::close_unused_probes() {
  size_t fexit = 0, syscall = 0;
  for (const auto& [name, watched] : maps_) {
    fexit += has(watched.choice, Source::kFexit);
    syscall += has(watched.choice, Source::kSyscall);
  }
  sources_.drop_unused(fexit, syscall);
}

// Also for a map that is watched already: what has changed is exchanged, and its numbers go on.
Result<Choice> LinuxStream::open(Watched& watched) {
  const Watch& watch = watched.watch;
  MS_TRY(const Map map, Map::open(watch.pin));
  const MapStats& shape = map.shape();
  const auto wanted = watch.mode == Mode::kPull ? std::vector<Source>{Source::kScan} : watch.sources;
  MS_TRY(Choice choice, choose(sources_.offers(shape, watch.instrumented, wanted), watch.sources, watch.mode, watch.programs_write));
  const uint32_t old_id = std::exchange(watched.shape, shape).id;
  const uint32_t flags = flags_of(choice, watch.keys, watch.values);
  const uint32_t old_flags = log_->flags(watched.slot);
  log_->set_flags(watched.slot, old_flags & flags);  // bytes that are no longer wanted stop before anything else
  if (!watched.topic && unseen_before(choice, watch.mode)) log_->skip_number(watched.slot);
  give_topic(watched, old_flags != 0);
  MS_TRY(const bool scanned_anew, renew_scan(watched, map, choice, old_id == shape.id));
  const bool by_id = has(choice, Source::kFexit) || has(choice, Source::kSyscall);
  if (by_id) MS_CHECK(log_->bind(shape.id, watched.slot));
  if (old_id != 0 && (old_id != shape.id || !by_id)) MS_CHECK(log_->unbind(old_id));
  log_->set_flags(watched.slot, flags);
  if (old_id != 0 && old_id != shape.id) {
    // After the new map is seen: the version of the resync is below whatever is not told of it.
    reader_.between_batches([&] { watched.topic->resync(log_->sequence(watched.slot), ResyncReason::kReplaced); });
    bell_.ring();
  } else if (old_id != 0 && (scanned_anew || choice.sources != watched.choice.sources)) {
    // Between two images, or two sources, something may have changed that neither saw.
    reader_.between_batches([&] { watched.topic->resync(log_->sequence(watched.slot), ResyncReason::kMissed); });
    bell_.ring();
  }
  watched.choice = choice;
  watched.problem.clear();
  return choice;
}

// A topic stays as long as its records have the same shape: its subscribers notice nothing. `written`: records may be in the
// ring already, from before this process began.
void LinuxStream::give_topic(Watched& watched, bool written) {
  const Watch& watch = watched.watch;
  Topic::Shape shape{0, settings_.history, watched.shape.key_size, watched.shape.value_size, watch.keys, watch.keys && watch.values};
  if (watched.topic && watched.topic->fits(shape)) return;
  shape.first = written ? reader_.next_number(watched.slot) : log_->sequence(watched.slot) + 1;
  const auto old = std::exchange(watched.topic, std::make_shared<Topic>(shape));
  if (old) reader_.remove(watched.slot);
  reader_.add(watched.slot, watched.topic);
  if (!old) return;
  for (size_t op = 0; op < kOps; ++op) {
    for (size_t source = 0; source < kSources; ++source) watched.seen_before[op][source] += old->seen(op, source);
  }
  watched.lost_before += old->lost();
  watched.malformed_before += old->malformed();
  if (old->shows_more_than(shape)) old->revoke();
  old->close();
}

// True: from another image than before, so what changed meanwhile is in neither.
Result<bool> LinuxStream::renew_scan(Watched& watched, const Map& map, Choice& choice, bool same_map) {
  const Watch& watch = watched.watch;
  const bool when_silent = !has(choice, Source::kScan);
  const bool wanted = !when_silent || watch.mode == Mode::kHybrid;
  if (same_map && wanted && watched.scan && watched.scan->runs(when_silent ? watch.silence : watch.pull_interval, when_silent)) return false;
  close_scan(watched);
  if (!wanted) return false;
  MS_CHECK(open_scan(watched, map, choice));
  return true;
}

Status LinuxStream::open_scan(Watched& watched, const Map& map, Choice& choice) {
  const bool when_silent = !has(choice, Source::kScan);
  auto scan = ChangeScan::open(*log_, watched.slot, map);
  if (!scan && when_silent) {  // the event sources alone, then, and the choice says so
    choice.reason += "; no scan when it is silent: " + scan.error().message;
    return {};
  }
  if (!scan) return fail(std::move(scan).error());
  watched.scan = std::make_shared<MapScan>(std::move(*scan), when_silent ? watched.watch.silence : watched.watch.pull_interval,
                                           when_silent, [this, slot = watched.slot] { return log_->sequence(slot); });
  scanner_.add(watched.scan);
  return {};
}

void LinuxStream::close_scan(Watched& watched) {
  if (!watched.scan) return;
  scanner_.remove(watched.scan.get());
  const auto totals = watched.scan->totals();
  watched.scans_before.passes += totals.passes;
  watched.scans_before.keys += totals.keys;
  watched.scans_before.deferred += totals.deferred;
  watched.scan.reset();
}

}  // namespace mapshift::observe::changes
