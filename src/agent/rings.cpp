// SPDX-License-Identifier: Apache-2.0
#include "agent/rings.h"

#include "base/log.h"
#include "kernel/record_type.h"
#include "update/paths.h"

namespace mapshift::agent {

using observe::changes::MapName;
using observe::changes::ModuleRing;

void Rings::prepare(const update::GenerationInput& input) {
  const std::string& module = input.manifest.name;
  const uint64_t generation = input.ref.generation;
  Types types;
  for (const auto& [name, rule] : input.manifest.ringbufs) {
    auto type = rule.record.empty() ? Result<TypeRef>(TypeRef()) : read_record_type(input.object.path, rule.record);
    // The plan has refused a type that is not there; of what changed since nobody knows what it shows.
    if (!type) log::warn("records are counted only", {{"map", module + "/" + name}, {"error", type.error().message}});
    types[name] = {type.value_or(TypeRef()), rule.values};
  }
  const std::lock_guard lock(mutex_);
  // The one that runs, the one before it, which a rollback brings back, and this one.
  std::erase_if(declared_, [&](const auto& entry) { return entry.first.first == module && entry.first.second + 2 < generation; });
  declared_[{module, generation}] = std::move(types);
}

Status Rings::start() {
  if (reader_) return {};
  if (!start_) return fail(ErrorCode::kUnsupported, "this agent reads no ring buffers");
  MS_TRY(reader_, start_());
  return {};
}

void Rings::published(const std::string& module, uint64_t generation) {
  const std::lock_guard lock(mutex_);
  const auto declared = declared_.find({module, generation});
  const Types none;
  const Types& types = declared == declared_.end() ? none : declared->second;
  for (auto at = rings_.begin(); at != rings_.end();) {
    const bool gone = at->first.module == module && !types.contains(at->first.map);
    if (gone && at->second.open) reader_->close(at->first);
    at = gone ? rings_.erase(at) : std::next(at);
  }
  for (const auto& [name, type] : types) {
    const ModuleRing ring{{module, name}, update::Paths(bpffs_, module).published(name), type.record, type.values};
    Read& read = rings_[ring.name];
    Status done = start();
    if (done) done = read.open ? reader_->retarget(ring) : reader_->open(ring);
    read.open |= done.has_value();
    read.problem = done ? "" : done.error().message;
    if (!done) log::warn("a ring buffer cannot be read", {{"map", module + "/" + name}, {"error", read.problem}});
  }
}

void Rings::settle(const std::string& module) {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, read] : rings_)
    if (name.module == module && read.open) reader_->settle(name);
}

void Rings::unloaded(const std::string& module) {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, read] : rings_)
    if (name.module == module && read.open) reader_->close(name);
  std::erase_if(rings_, [&](const auto& entry) { return entry.first.module == module; });
  std::erase_if(declared_, [&](const auto& entry) { return entry.first.first == module; });
}

bool Rings::has(const MapName& name) {
  const std::lock_guard lock(mutex_);
  return rings_.contains(name);
}

Result<std::unique_ptr<observe::changes::RingSubscription>> Rings::subscribe(const MapName& name, std::optional<uint64_t> since) {
  const std::lock_guard lock(mutex_);
  const auto found = rings_.find(name);
  if (found == rings_.end() || !found->second.open) {
    return fail(ErrorCode::kConflict, "ring buffer \"" + name.module + "/" + name.map + "\" is not read" +
                                          (found == rings_.end() ? std::string() : ": " + found->second.problem));
  }
  return reader_->subscribe(name, since);
}

std::optional<observe::changes::RingReport> Rings::report(const MapName& name) {
  if (!reader_) return {};
  for (const observe::changes::RingReport& one : reader_->reports())
    if (one.name == name) return one;
  return {};
}

uint64_t Rings::version(const MapName& name) {
  const std::lock_guard lock(mutex_);
  const auto found = report(name);
  return found ? found->version : 0;
}

std::optional<update::MapChanges> Rings::describe(const MapName& name) {
  const std::lock_guard lock(mutex_);
  const auto found = rings_.find(name);
  if (found == rings_.end()) return {};
  update::MapChanges out;
  out.source = found->second.open ? "ring" : "";
  out.mode = "events";
  out.complete = true;
  out.reason = "the module's own ring buffer, declared in its manifest";
  out.problem = found->second.problem;
  if (const auto counted = report(name)) {
    out.version = counted->version;
    out.seen = counted->records - counted->malformed;
    out.lost = counted->malformed;
  }
  return out;
}

void Rings::collect(metrics::Metrics& out) {
  const std::lock_guard lock(mutex_);
  if (reader_) out.set_rings(reader_->reports());
}

}  // namespace mapshift::agent
