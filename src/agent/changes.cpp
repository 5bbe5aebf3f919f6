// SPDX-License-Identifier: Apache-2.0
#include "agent/changes.h"

#include <algorithm>

#include "base/log.h"
#include "kernel/instance_name.h"
#include "kernel/map_contents.h"
#include "mapshift/changes.h"
#include "update/instances.h"
#include "update/paths.h"

namespace mapshift::agent {
namespace {

using observe::changes::Choice;
using observe::changes::MapName;
using observe::changes::Watch;

constexpr size_t kMaxContents = size_t{32} << 20;  // bytes of keys and values in one answer

std::string text_of(const MapName& name) { return name.module + "/" + name.map; }

bool same(const Watch& a, const Watch& b) {
  return a.name == b.name && a.sources == b.sources && a.mode == b.mode && a.pull_interval == b.pull_interval && a.silence == b.silence &&
         a.keys == b.keys && a.values == b.values;
}

bool has_log(const ObjectSpec& object) {
  return std::ranges::any_of(object.maps, [](const MapSpec& map) { return map.name == MS_CHANGES_RING; });
}

}  // namespace

Changes::Changes(std::string bpffs, const config::ChangeCapture& config, Engines engines, ListMaps list_maps)
    : bpffs_(std::move(bpffs)), settings_{bpffs_ + "/mapshift/changes~", config.ring_bytes, config.history}, engines_(std::move(engines)),
      list_maps_(std::move(list_maps)), rings_(bpffs_, engines_.start_rings) {
  for (const Watch& watch : config.maps) maps_[watch.name] = {watch};
}

Status Changes::open_stream() {
  if (stream_) return {};
  auto opened = engines_.open ? engines_.open(settings_)
                              : Result<std::unique_ptr<observe::changes::Stream>>(fail(ErrorCode::kUnsupported, "this agent follows no changes"));
  if (!opened) {
    if (stream_problem_ != opened.error().message) log::error("map changes cannot be followed", {{"error", opened.error().message}});
    stream_problem_ = opened.error().message;
    return fail(opened.error());
  }
  stream_ = std::move(*opened);
  stream_problem_.clear();
  return {};
}

std::string Changes::pin(const MapName& name) const { return update::Paths(bpffs_, name.module).published(name.map); }

const Changes::Generation* Changes::running(const std::string& module) const {
  const auto generation = published_.find(module);
  if (generation == published_.end()) return nullptr;
  const auto found = generations_.find({module, generation->second});
  return found == generations_.end() ? nullptr : &found->second;
}

bool Changes::logs(const MapName& name) const {
  const Generation* generation = running(name.module);
  return generation != nullptr && generation->logged.contains(name.map);
}

std::optional<bool> Changes::programs_write(const MapName& name) const {
  const Generation* generation = running(name.module);
  if (generation == nullptr) return {};
  const bool written = generation->written.contains(std::string(base_name(name.map)));
  if (!written && !generation->understood) return {};
  return written;
}

void Changes::prepare(const update::GenerationInput& input, LoadRequest& request) {
  rings_.prepare(input);
  const std::string& module = input.manifest.name;
  const uint64_t generation = input.ref.generation;
  const update::CodeFacts& facts = input.facts;
  const std::lock_guard lock(mutex_);
  Generation& known = generations_[{module, generation}];
  known = {};
  // The one that runs, the one before it, which a rollback brings back, and this one.
  std::erase_if(generations_, [&](const auto& entry) { return entry.first.first == module && entry.first.second + 2 < generation; });
  known.instances = request.instances = update::instance_names(input.manifest);
  known.divided = request.instance_maps = update::instance_maps(input.manifest, input.object);
  known.understood = facts.gave_up.empty();
  for (const update::MapAccess& access : facts.maps)
    if (access.updates || access.deletes || access.writes_value) known.written.insert(access.map);
  if (!has_log(input.object)) return;
  if (Status opened = open_stream(); !opened) return;  // logged; the module runs without its log
  auto names = stream_->prepare(module, input.object, request);
  if (!names) return log::error("the module cannot log its changes", {{"module", module}, {"error", names.error().message}});
  known.logged = {names->begin(), names->end()};
}

// Where each instance has its own, one of them has to be named.
std::string Changes::divided(const MapName& name) const {
  const Generation* generation = running(name.module);
  if (generation == nullptr || !generation->divided.contains(name.map)) return {};
  std::string all;
  for (const std::string& instance : generation->instances) all += (all.empty() ? "" : ", ") + instance_name(name.map, instance);
  return "each instance has its own " + name.map + ": name " + all;
}

void Changes::start(Watched& watched) {
  Watch& watch = watched.watch;
  watch.pin = pin(watch.name);
  watch.instrumented = logs(watch.name);
  watch.programs_write = programs_write(watch.name);
  Status opened = open_stream();
  auto choice = opened ? stream_->watch(watch) : Result<Choice>(fail(opened.error()));
  watched.running = choice.has_value();
  watched.problem = choice ? "" : choice.error().message;
  if (std::string several = divided(watch.name); !choice && !several.empty()) watched.problem = std::move(several);
  if (choice) {
    log::info("changes are followed", {{"map", text_of(watch.name)}, {"source", sources_of(*choice)}, {"reason", choice->reason}});
  } else {
    if (opened) stream_->unwatch(watch.name);  // it may have been watched in another way
    log::warn("changes cannot be followed", {{"map", text_of(watch.name)}, {"error", watched.problem}});
  }
}

void Changes::published(const std::string& module, uint64_t generation) {
  rings_.published(module, generation);
  const std::lock_guard lock(mutex_);
  published_[module] = generation;
  for (auto& [name, watched] : maps_) {
    if (name.module != module) continue;
    if (!watched.running) {
      start(watched);
      continue;
    }
    const auto choice = stream_->retarget(name, pin(name), logs(name), programs_write(name));
    watched.problem = choice ? "" : choice.error().message;
    if (choice) log::info("changes are followed in another generation", {{"map", text_of(name)}, {"source", sources_of(*choice)}});
    else log::warn("changes cannot be followed any more", {{"map", text_of(name)}, {"error", watched.problem}});
  }
}

void Changes::unloaded(const std::string& module) {
  rings_.unloaded(module);
  const std::lock_guard lock(mutex_);
  published_.erase(module);
  std::erase_if(generations_, [&](const auto& entry) { return entry.first.first == module; });
  for (auto& [name, watched] : maps_) {
    if (name.module != module || !watched.running) continue;
    stream_->unwatch(name);
    watched.running = false;
  }
}

void Changes::configure(const config::ChangeCapture& config) {
  const std::lock_guard lock(mutex_);
  std::map<MapName, Watched> before;
  before.swap(maps_);
  for (const Watch& watch : config.maps) {
    Watched watched{watch};
    if (const auto old = before.find(watch.name); old != before.end()) {
      if (same(old->second.watch, watch)) watched = old->second;
      else watched.running = false;  // watched anew: watch() changes how
      before.erase(old);
    }
    maps_[watch.name] = std::move(watched);
  }
  for (const auto& [name, watched] : before)
    if (watched.running) stream_->unwatch(name);
  for (auto& [name, watched] : maps_)
    if (!watched.running && published_.contains(name.module)) start(watched);
}

Error Changes::not_watched(const MapName& name) {
  if (rings_.has(name)) return {ErrorCode::kUnsupported, 0, "\"" + text_of(name) + "\" is a ring buffer: it has records to follow, and no entries", {}, {}};
  const auto maps = list_maps_(name.module);
  if (!maps) return maps.error();
  if (std::ranges::find(*maps, name.map) == maps->end()) {
    const std::lock_guard lock(mutex_);
    if (const std::string several = divided(name); !several.empty()) return {ErrorCode::kNotFound, 0, several, {}, {}};
    return {ErrorCode::kNotFound, 0, "module \"" + name.module + "\" has no map \"" + name.map + "\": `mapshift status " + name.module + "` lists its maps", {}, {}};
  }
  const std::lock_guard lock(mutex_);
  if (const auto found = maps_.find(name); found != maps_.end() && !found->second.problem.empty())
    return {ErrorCode::kConflict, 0, "map \"" + text_of(name) + "\" cannot be watched: " + found->second.problem, {}, {}};
  return {ErrorCode::kConflict, 0, "map \"" + text_of(name) + "\" is not watched: add {\"module\": \"" + name.module + "\", \"map\": \"" + name.map +
                                       "\"} to changes.maps of the configuration, and reload it", {}, {}};
}

Result<std::unique_ptr<observe::changes::Subscription>> Changes::subscribe(const http::MapName& name, std::optional<uint64_t> since) {
  observe::changes::Stream* stream = nullptr;
  {
    const std::lock_guard lock(mutex_);
    stream = stream_.get();
  }
  if (stream == nullptr) return fail(not_watched(name));
  auto subscription = stream->subscribe(name, since);
  if (!subscription && subscription.error().code == ErrorCode::kNotFound) return fail(not_watched(name));
  return subscription;
}

Result<uint64_t> Changes::version(const http::MapName& name) {
  observe::changes::Stream* stream = nullptr;
  {
    const std::lock_guard lock(mutex_);
    stream = stream_.get();
  }
  if (stream == nullptr) return fail(not_watched(name));
  auto version = stream->version(name);
  if (!version && version.error().code == ErrorCode::kNotFound) return fail(not_watched(name));
  return version;
}

Result<http::MapContents> Changes::read_map(const http::MapName& name) {
  http::MapContents out;
  out.name = name;
  MS_TRY(out.version, version(name));  // before the entries: what changes meanwhile is told again
  {
    const std::lock_guard lock(mutex_);
    const auto found = maps_.find(name);
    if (found == maps_.end()) return fail(ErrorCode::kConflict, "map \"" + text_of(name) + "\" is not watched any more");
    out.keys = found->second.watch.keys;
    out.values = found->second.watch.values;
  }
  if (const auto described = describe(name)) {
    out.source = described->source;
    out.reason = described->reason;
  }
  if (!out.keys) return out;
  MS_TRY(auto elements, read_contents(pin(name), kMaxContents));
  out.entries.reserve(elements.size());
  for (MapElement& element : elements)
    out.entries.push_back({std::move(element.key), out.values ? std::move(element.value) : std::vector<std::byte>()});
  return out;
}

}  // namespace mapshift::agent
