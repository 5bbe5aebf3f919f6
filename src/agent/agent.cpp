// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <algorithm>

#include "agent/files.h"
#include "base/log.h"
#include "config/manifest.h"
#include "kernel/object_file.h"
#include "update/left_out.h"
#include "update/load_request.h"
#include "update/names.h"

namespace mapshift::agent {
namespace {

constexpr size_t kUpdatesLookedAt = 100;  // for the one that made the running generation

// Where these programs of a generation attach, by its manifest and, where that leaves it to them, by its object's sections.
std::map<std::string, update::AttachSpec> places_of(const store::ModuleRow& row, const std::vector<std::string>& programs) {
  std::map<std::string, update::AttachSpec> out;
  auto manifest = config::parse_manifest(row.manifest, "/", {}, row.name);
  if (!manifest) return out;
  for (const auto& [name, rule] : manifest->programs) {
    if (rule.attach) out[name] = *rule.attach;
  }
  const bool all = std::ranges::all_of(programs, [&](const std::string& program) { return out.contains(program); });
  if (all || row.object_path.empty()) return out;  // adopted: the manifest says all
  auto object = read_object_file(row.object_path);
  if (!object || !update::leave_out(*manifest, *object).empty()) return out;
  return update::attachments(*manifest, *object).value_or(out);
}

}  // namespace

Agent::Agent(config::Config config, std::string config_path, std::unique_ptr<Kernel> kernel, std::unique_ptr<store::Store> store,
             metrics::Metrics& metrics, GoCapture::Start start_go, Changes::Engines engines,
             Leases::FindHolders find_holders)
    : config_(std::move(config)), config_path_(std::move(config_path)), kernel_(std::move(kernel)), store_(std::move(store)),
      metrics_(metrics), observer_(metrics),
      changes_(config_.bpffs, config_.changes, std::move(engines),
               [this](const std::string& module) -> Result<std::vector<std::string>> {
                 MS_CHECK(row(module));
                 return kernel_->list(update::Paths(config_.bpffs, module).root() + "/maps");
               }),
      leases_(*kernel_, *store_, config_.bpffs, std::move(find_holders)), go_(std::move(start_go)), alerts_(*store_, metrics, alert_hooks()) {
  metrics_.set_collector([this](metrics::Metrics& out) { collect(out); });
  counter_ = std::thread([this] { count_entries(); });
}

Agent::~Agent() {
  stop();
  metrics_.set_collector({});
}

void Agent::stop() {
  alerts_.stop();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto& [id, active] : active_) {
      if (Status ordered = active->run->order(update::Order::kStop, "the agent was stopped", "operator"); !ordered) {
        log::debug("nothing to stop", {{"update_id", id}});
      }
    }
  }
  wake_.notify_all();
  if (counter_.joinable()) counter_.join();
  leases_.stop();
  std::map<std::string, std::shared_ptr<Active>> ending;
  {
    const std::lock_guard lock(mutex_);
    ending.swap(active_);
  }
  for (auto& [id, active] : ending) {
    if (active->thread.joinable()) active->thread.join();
  }
  go_.stop();
}

Result<store::ModuleRow> Agent::row(const std::string& name) {
  auto found = store_->module(name);
  if (!found && found.error().code == ErrorCode::kNotFound) {
    return fail(ErrorCode::kNotFound, "module \"" + name + "\" is not loaded: `mapshift load` loads it, `mapshift status` lists what is");
  }
  return found;
}

std::shared_ptr<Agent::Active> Agent::active(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = active_.find(id);
  return found == active_.end() ? nullptr : found->second;
}

std::shared_ptr<Agent::Active> Agent::active_of_module(const std::string& module) {
  const std::lock_guard lock(mutex_);
  for (auto& [id, active] : active_) {
    if (const update::UpdateRecord record = active->run->record(); record.module == module && !is_final(record.state) && !active->run->ended()) return active;
  }
  return nullptr;
}

// Threads that are through, or about to be: once an update is seen to have ended, the next one may start. Their records
// are in the store.
void Agent::reap() {
  std::vector<std::shared_ptr<Active>> ended;
  {
    const std::lock_guard lock(mutex_);
    for (auto it = active_.begin(); it != active_.end();) {
      if (it->second->run->ended() || is_final(it->second->run->record().state)) {
        ended.push_back(it->second);
        it = active_.erase(it);
      } else {
        ++it;
      }
    }
  }
  for (auto& active : ended) {
    if (active->thread.joinable()) active->thread.join();
  }
}

update::ModuleRecord Agent::describe(const store::ModuleRow& row) {
  update::ModuleRecord out;
  out.name = row.name;
  out.version = row.version;
  out.digest = row.digest;
  out.generation = row.generation;
  const update::Paths paths(config_.bpffs, row.name);
  const auto programs = kernel_->list(paths.generation(row.generation) + "/progs").value_or(std::vector<std::string>());
  const std::map<std::string, update::AttachSpec> attach = places_of(row, programs);
  for (const std::string& name : programs) {
    update::ModuleProgram program;
    program.name = name;
    if (auto found = attach.find(name); found != attach.end()) {
      program.type = found->second.type;
      program.attach = update::describe_attach(found->second);
      if (kernel_->place_gone(paths.hook(name)).value_or(false)) program.attach += ", which is gone";
    }
    auto stats = kernel_->hook_stats(paths.hook(name));
    if (!stats) stats = kernel_->program_stats(paths.program(row.generation, name));
    if (stats) {
      program.runs = stats->runs;
      program.missed = stats->missed;
      program.run_seconds = static_cast<double>(stats->run_ns) / 1e9;
    }
    if (auto own = kernel_->program_stats(paths.program(row.generation, name)); own) program.id = own->id;
    out.programs.push_back(std::move(program));
  }
  // The published ones: from the swap on they are those of the new generation, though the row changes with the commit.
  for (const std::string& name : kernel_->list(paths.root() + "/maps").value_or(std::vector<std::string>())) {
    if (is_change_log(name)) continue;
    update::ModuleMap map;
    map.name = name;
    map.pin = paths.published(name);
    if (auto stats = kernel_->map_stats(map.pin); stats) {
      map.type = to_string(stats->type);
      map.id = stats->id;
      map.key_size = stats->key_size;
      map.value_size = stats->value_size;
      map.max_entries = stats->max_entries;
      map.memory_bytes = stats->memory_bytes;
    }
    if (const auto held = usage(row.name, name)) {
      map.entries = held->entries;
      map.uncounted = held->uncounted;
    }
    map.changes = changes_.describe({row.name, name});
    map.kept = leases_.describe(row.name, name);
    out.maps.push_back(std::move(map));
  }
  if (auto active = active_of_module(row.name)) out.running_update.push_back(active->run->record());
  return out;
}

std::vector<update::ModuleRecord> Agent::modules() {
  std::vector<update::ModuleRecord> out;
  const auto rows = store_->modules();
  if (!rows) {
    log::error("cannot read the modules", {{"error", rows.error().message}});
    return out;
  }
  for (const store::ModuleRow& row : *rows) out.push_back(describe(row));
  return out;
}

Result<update::ModuleRecord> Agent::module(const std::string& name) {
  MS_TRY(const store::ModuleRow found, row(name));
  return describe(found);
}

void Agent::show_module(const store::ModuleRow& row, const std::string& update_id) {
  metrics_.set_module(row.name, row.generation, row.version, row.digest, update_id);
}

void Agent::show_running(const std::string& module) {
  const auto found = store_->module(module);
  if (!found) return;  // unloaded meanwhile
  std::string update_id;
  for (const update::UpdateRecord& record : store_->update_heads(module, kUpdatesLookedAt).value_or(std::vector<update::UpdateRecord>())) {
    if (record.state != update::State::kCommitted || record.to.generation != found->generation) continue;
    update_id = record.id;
    break;
  }
  show_module(*found, update_id);
}

std::vector<update::UpdateRecord> Agent::updates(const std::string& module) {
  auto stored = store_->updates(module);
  if (!stored) {
    log::error("cannot read the updates", {{"error", stored.error().message}});
    return {};
  }
  for (update::UpdateRecord& record : *stored) {
    if (auto running = active(record.id)) record = running->run->record();
    alerts_.complete(record);
  }
  return *stored;
}

Result<update::UpdateRecord> Agent::update(const std::string& id, uint64_t since, std::chrono::nanoseconds wait) {
  if (auto running = active(id)) {
    update::UpdateRecord record = running->run->wait(since, wait);
    alerts_.complete(record);
    return record;
  }
  MS_TRY(store::StoredUpdate stored, store_->update(id));
  alerts_.complete(stored.record);
  return std::move(stored.record);
}

Result<update::UpdateRecord> Agent::decide(const std::string& id, http::Verdict verdict, const std::string& reason, const std::string& trigger) {
  auto running = active(id);
  if (!running) {
    MS_TRY(const store::StoredUpdate stored, store_->update(id));
    return fail(ErrorCode::kConflict, "update " + id + " has ended already: it is " + std::string(to_string(stored.record.state)));
  }
  update::Order order = update::Order::kNone;
  switch (verdict) {
    case http::Verdict::kRollback: order = update::Order::kRollback; break;
    case http::Verdict::kCommit: order = update::Order::kCommit; break;
    case http::Verdict::kAbort: order = update::Order::kAbort; break;
  }
  const char* what = verdict == http::Verdict::kCommit ? "committed by an operator" : verdict == http::Verdict::kAbort ? "aborted by an operator" : "rolled back by an operator";
  MS_CHECK(running->run->order(order, reason.empty() ? what : reason, trigger));
  return running->run->record();
}

Status Agent::reload() {
  auto fresh = config::load_config(config_path_);
  if (!fresh) {
    metrics_.config_reloaded(false);
    return fail(fresh.error());
  }
  const Status replaced = replace_config(std::move(*fresh));
  metrics_.config_reloaded(replaced.has_value());
  MS_CHECK(replaced);
  apply_go();
  log::info("configuration reloaded", {{"file", config_path_}});
  return {};
}

void Agent::apply_go() {
  const std::lock_guard changing(go_change_);
  config::GoCapture wanted;
  {
    const std::lock_guard lock(mutex_);
    wanted = config_.go;
  }
  go_.apply(wanted);
}

Status Agent::replace_config(config::Config fresh) {
  std::vector<Problem> fixed;
  const std::lock_guard lock(mutex_);
  const auto same = [&](bool equal, const char* member) {
    if (!equal) fixed.push_back({"needs-restart", member, "this member is read at start only: restart the agent to change it"});
  };
  same(fresh.state_dir == config_.state_dir, "state_dir");
  same(fresh.run_dir == config_.run_dir, "run_dir");
  same(fresh.bpffs == config_.bpffs, "bpffs");
  same(fresh.metrics.host == config_.metrics.host && fresh.metrics.port == config_.metrics.port, "metrics.listen");
  same(fresh.changes.ring_bytes == config_.changes.ring_bytes, "changes.ring_bytes");
  same(fresh.changes.history == config_.changes.history, "changes.history");
  same(fresh.api.host == config_.api.host && fresh.api.port == config_.api.port, "api.listen");
  MS_TRY(const std::string token, read_or_make_token(fresh.token_file));
  MS_TRY(const std::string rollback_token, read_or_make_token(fresh.rollback_token_file));
  if (!fixed.empty()) return fail(Error{ErrorCode::kInvalid, 0, "the configuration was not reloaded", {}, std::move(fixed)});
  config_ = std::move(fresh);
  changes_.configure(config_.changes);
  if (set_tokens_) set_tokens_(token, rollback_token);
  return {};
}

}  // namespace mapshift::agent
