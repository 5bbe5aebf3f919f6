// SPDX-License-Identifier: Apache-2.0
#include "agent/leases.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>

#include "base/clock.h"
#include "base/log.h"
#include "update/holder_text.h"

namespace mapshift::agent {
namespace {

constexpr Nanos kInterval = std::chrono::seconds(1);
constexpr int kRest = 50;          // times the work: 2 % of a core at most
constexpr int kUnheldLooks = 2;    // one look can miss a descriptor that is just being handed over
constexpr int kMaxLastPasses = 10;

std::string names_of(const std::vector<update::KeptHolder>& holders, uint64_t count) {
  std::string out;
  for (const update::KeptHolder& holder : holders) out += (out.empty() ? "" : ", ") + update::describe_holder(holder);
  if (count > holders.size()) out += fmt::format(" and {} more", count - holders.size());
  return out;
}

}  // namespace

Leases::Leases(Kernel& kernel, store::Store& store, std::string bpffs, FindHolders find_holders)
    : kernel_(kernel), store_(store), bpffs_(std::move(bpffs)), find_holders_(std::move(find_holders)) {}

Leases::~Leases() { stop(); }

void Leases::start(const std::vector<std::string>& modules) {
  const std::lock_guard working(work_);
  take_up_all({});
  for (const std::string& module : modules) forget_strays(module);
  thread_ = std::thread([this] { run(); });
}

void Leases::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Leases::run() {
  pthread_setname_np(pthread_self(), "leases");
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (leases_.empty()) {
      wake_.wait(lock);
      continue;
    }
    lock.unlock();
    const Nanos took = visit();
    lock.lock();
    if (!stopping_) wake_.wait_for(lock, std::max(kInterval, took * kRest));
  }
}

void Leases::take_up(const std::string& module) {
  {
    const std::lock_guard working(work_);
    take_up_all(module);
  }
  wake_.notify_all();
}

void Leases::take_up_all(const std::optional<std::string>& module) {
  const auto kept = store_.kept_maps();
  if (!kept) return log::error("cannot read which old maps are kept", {{"error", kept.error().message}});
  for (const update::KeptMap& map : *kept) {
    if (!module || map.module == *module) open(map);
  }
}

void Leases::open(const update::KeptMap& map) {
  const Name name{map.module, map.map};
  if (leases_.contains(name)) return;
  const update::Paths paths(bpffs_, map.module);
  auto lease = std::make_unique<Lease>();
  lease->map = map;
  lease->until = parse_time(map.until).value_or(WallTime{});
  lease->shown.until = map.until;
  SyncSpec spec = map.sync;
  spec.follow_writes = true;
  const auto stats = kernel_.map_stats(paths.kept_map(map.map));
  if (stats) lease->shown.id = stats->id;
  // Without its base it would be a new synchronisation, which counts everything twice.
  const auto base = kernel_.list(paths.kept_sync(map.map));
  const bool whole = stats && base && std::find(base->begin(), base->end(), "base") != base->end();
  auto sync = whole ? kernel_.open_sync(spec, paths.kept_map(map.map), paths.map(map.generation, map.map), paths.kept_sync(map.map))
                    : Result<std::unique_ptr<Sync>>(fail(ErrorCode::kNotFound, "it is gone: the host was restarted"));
  if (sync) lease->sync = std::move(*sync);
  const std::string problem = sync ? "" : sync.error().message;
  {
    const std::lock_guard lock(mutex_);
    leases_.emplace(name, std::move(lease));
  }
  if (sync) {
    log::info("an old map is kept for who holds it", {{"module", map.module}, {"map", map.map}, {"until", map.until}});
  } else {
    drop(name, "it cannot be kept in step: " + problem);
  }
}

// First they are looked for, then what they wrote is brought over: so what the last one wrote is not lost.
Nanos Leases::visit() {
  const std::lock_guard working(work_);
  const Nanos began = monotonic_now();
  look_for_holders();
  std::vector<std::pair<Name, std::string>> over;
  for (auto& [name, lease] : leases_) {
    auto report = lease->sync->pass(SyncPhase::kLiveNew, true);
    {
      const std::lock_guard lock(mutex_);
      lease->shown.problem = report ? "" : report.error().message;
    }
    if (std::chrono::system_clock::now() >= lease->until) over.emplace_back(name, "its lease ended at " + lease->map.until);
    else if (lease->unheld >= kUnheldLooks) over.emplace_back(name, "no process holds it any more");
  }
  for (const auto& [name, why] : over) drop(name, why);
  return monotonic_now() - began;
}

void Leases::look_for_holders() {
  std::set<uint32_t> ids;
  for (const auto& [name, lease] : leases_) ids.insert(lease->shown.id);
  const MapHolders found = find_holders_(ids);
  const std::lock_guard lock(mutex_);
  for (auto& [name, lease] : leases_) {
    const auto held = found.by_map.find(lease->shown.id);
    const bool nobody = held == found.by_map.end() || held->second.empty();
    lease->unheld = nobody && found.complete ? lease->unheld + 1 : 0;
    lease->shown.holders.clear();
    lease->shown.holder_count = nobody ? 0 : held->second.size();
    if (nobody) continue;
    for (const MapHolder& holder : held->second) {
      if (lease->shown.holders.size() == update::kMaxKeptHolders) break;
      lease->shown.holders.push_back({holder.pid, holder.comm});
    }
  }
}

// Until nothing moves from the old map any more.
void Leases::bring_over(Lease& lease) {
  for (int n = 0; lease.sync && n < kMaxLastPasses; ++n) {
    const auto report = lease.sync->pass(SyncPhase::kLiveNew, true);
    if (!report) {
      log::error("the last pass over an old map failed", {{"module", lease.map.module}, {"map", lease.map.map}, {"error", report.error().message}});
      return;
    }
    if (report->settled()) return;
  }
}

void Leases::drop(const Name& name, const std::string& why) {
  std::unique_ptr<Lease> lease;
  bring_over(*leases_.at(name));
  {
    const std::lock_guard lock(mutex_);
    lease = std::move(leases_.at(name));
    leases_.erase(name);
  }
  lease->sync.reset();
  // The pins first: a row without pins is dropped again at the next start, pins without a row would have no end.
  Status gone = kernel_.remove_tree(update::Paths(bpffs_, name.first).kept(name.second));
  if (gone) gone = store_.drop_kept_map(name.first, name.second);
  const std::string holders = names_of(lease->shown.holders, lease->shown.holder_count);
  if (!gone) log::error("an old map stays", {{"module", name.first}, {"map", name.second}, {"error", gone.error().message}});
  else log::info("an old map was dropped", {{"module", name.first}, {"map", name.second}, {"reason", why}, {"held_by", holders}});
}

void Leases::end(const std::string& module, const std::string& why) {
  const std::lock_guard working(work_);
  take_up_all(module);  // an update may have been committed a moment ago
  std::vector<Name> all;
  for (const auto& [name, lease] : leases_)
    if (name.first == module) all.push_back(name);
  for (const Name& name : all) drop(name, why);
}

// An agent may have died after it moved a map aside, and before it wrote that down.
void Leases::forget_strays(const std::string& module) {
  const update::Paths paths(bpffs_, module);
  for (const std::string& map : kernel_.list(paths.all_kept()).value_or(std::vector<std::string>())) {
    if (leases_.contains({module, map})) continue;
    if (Status gone = kernel_.remove_tree(paths.kept(map)); !gone) {
      log::error("an old map stays", {{"module", module}, {"map", map}, {"error", gone.error().message}});
    }
  }
}

std::optional<update::KeptRecord> Leases::describe(const std::string& module, const std::string& map) {
  const std::lock_guard lock(mutex_);
  const auto found = leases_.find({module, map});
  return found == leases_.end() ? std::nullopt : std::optional(found->second->shown);
}

std::vector<Problem> Leases::warnings(const std::string& module) {
  std::vector<Problem> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, lease] : leases_) {
    if (name.first != module) continue;
    const std::string holders = names_of(lease->shown.holders, lease->shown.holder_count);
    out.push_back({"kept-map-ends", "maps." + name.second,
                   fmt::format("the map of the last generation is kept until {} for who holds it ({}): this update ends that, and what they write "
                               "there afterwards is lost", lease->shown.until, holders.empty() ? "nobody now" : holders)});
  }
  return out;
}

void Leases::collect(metrics::Metrics& out) {
  const std::lock_guard lock(mutex_);
  std::map<Name, uint64_t> held;
  for (const auto& [name, lease] : leases_) held[name] = lease->shown.holder_count;
  out.set_kept_maps(held);
}

}  // namespace mapshift::agent
