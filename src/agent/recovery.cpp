// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "agent/agent.h"
#include "base/log.h"
#include "config/manifest.h"
#include "update/objectives.h"
#include "update/planner.h"

namespace mapshift::agent {

void Agent::recover() {
  const auto running = store_->running_updates();
  const auto rows = store_->modules();
  if (!running || !rows) {
    log::error("cannot read what ran before", {{"error", running ? rows.error().message : running.error().message}});
    return;
  }
  std::set<std::string> updating;
  for (const store::StoredUpdate& stored : *running) updating.insert(stored.record.module);
  for (const store::ModuleRow& row : *rows) recover_module(row, updating.contains(row.name));
  for (const store::StoredUpdate& stored : *running) recover_update(stored);
  wait_for_recoveries();
  // Now that their updates have ended: what these could not remove, and what a restart of the host took with it.
  for (const store::ModuleRow& row : *rows) {
    if (!updating.contains(row.name) || active_of_module(row.name)) continue;
    if (auto now = store_->module(row.name); now) recover_module(*now, false);
  }
  if (Status pruned = store_->prune_objects(); !pruned) log::warn("cannot remove unused objects", {{"error", pruned.error().message}});
  std::vector<std::string> quiet;
  for (const store::ModuleRow& row : *rows)
    if (!active_of_module(row.name)) quiet.push_back(row.name);
  leases_.start(quiet);
  alerts_.start();
  ready_.store(true);
  log::info("ready", {{"modules", std::to_string(rows->size())}});
  apply_go();
}

void Agent::recover_module(const store::ModuleRow& row, bool updating) {
  const update::Paths paths(config_.bpffs, row.name);
  if (row.state != "active") {  // the agent died in mid-load or mid-unload: both end with nothing there
    // What was only to be adopted is somebody else's still: it is not detached.
    Status gone = row.state == "adopting" ? kernel_->remove_tree(paths.root()) : tear_down(row.name);
    if (gone) gone = store_->remove_module(row.name);
    if (gone) log::info("an unfinished " + row.state + " was undone", {{"module", row.name}});
    else log::error("an unfinished " + row.state + " could not be undone", {{"module", row.name}, {"error", gone.error().message}});
    return;
  }
  show_running(row.name);
  recover_changes(row);
  if (updating) return;
  const auto programs = kernel_->list(paths.generation(row.generation) + "/progs");
  if (programs && programs->empty()) {  // bpffs is empty: the host was restarted, and the state went with it
    auto manifest = config::parse_manifest(row.manifest, "/", {}, row.name);
    auto prepared = manifest ? prepare(*manifest, row.generation, row.object_path) : Result<Prepared>(fail(manifest.error()));
    Status loaded = prepared ? load_generation(*prepared, plan_load(*kernel_, *prepared, config_.limits), row) : fail(prepared.error());
    if (loaded) changes_.published(row.name, row.generation);
    if (loaded) log::warn("the host was restarted: the module was loaded again, its maps are empty", {{"module", row.name}});
    else log::error("the module does not run any more and cannot be loaded", {{"module", row.name}, {"error", loaded.error().message}});
    return;
  }
  const auto last = store_->updates(row.name, 1);
  if (!last || (!last->empty() && last->front().state == update::State::kStuck)) {
    // Hooks may run either generation, and a person may still need the base.
    log::warn("the module's last update is stuck: nothing of it is removed", {{"module", row.name}});
    return;
  }
  // What a commit or an undoing could not remove.
  const auto generations = kernel_->list(paths.root() + "/gen");
  for (const std::string& name : generations.value_or(std::vector<std::string>())) {
    if (name == std::to_string(row.generation)) continue;
    if (Status gone = kernel_->remove_tree(paths.root() + "/gen/" + name); !gone) {
      log::error("a former generation stays", {{"module", row.name}, {"generation", name}, {"error", gone.error().message}});
    }
  }
  if (Status gone = kernel_->remove_tree(paths.syncs()); !gone) log::error("a former base stays", {{"module", row.name}, {"error", gone.error().message}});
}

void Agent::recover_update(const store::StoredUpdate& stored) {
  const std::string& name = stored.record.module;
  const auto abandon = [&](const std::string& why) {
    update::UpdateRecord record = stored.record;
    record.state = update::State::kStuck;
    record.reason = "the update cannot be recovered: " + why;
    ++record.revision;
    if (Status saved = store_->save_update(record); !saved) log::error("cannot store", {{"error", saved.error().message}});
    log::error("an update is stuck", {{"update_id", record.id}, {"module", name}, {"reason", why}});
  };
  auto manifest = config::parse_manifest(stored.manifest, "/", {}, name);
  auto old_manifest = config::parse_manifest(stored.old_manifest, "/", {}, name);
  if (!manifest || !old_manifest) return abandon(manifest ? old_manifest.error().message : manifest.error().message);
  const auto generations = store_->generations(name);
  std::string old_object;
  for (const store::GenerationRow& row : generations.value_or(std::vector<store::GenerationRow>())) {
    if (row.generation == stored.record.from.generation) old_object = row.object_path;
  }
  Proposal proposal;
  auto old_side = prepare_loaded(*kernel_, update::Paths(config_.bpffs, name), *old_manifest, stored.record.from.generation, old_object);
  auto next = prepare(*manifest, stored.record.to.generation, config_.state_dir + "/objects/" + stored.record.digest + ".bpf.o");
  if (!old_side || !next) return abandon(old_side ? next.error().message : old_side.error().message);
  proposal.old_side = std::move(*old_side);
  proposal.next = std::move(*next);
  LoadRequest unused;  // it is loaded, or will be with a request of its own
  changes_.prepare(proposal.next.input, unused);
  const auto bake = std::chrono::duration_cast<Nanos>(Seconds(stored.record.bake_seconds));
  proposal.analysis = update::judging_of(*manifest, config_.objectives, bake, proposal.next.input.object, attached_programs(proposal.next)).analysis;
  proposal.plan = plan_again(*kernel_, proposal.old_side, proposal.next, config_.limits, stored.record);
  store::ModuleRow next_row{name, stored.record.to.generation, manifest->version, stored.record.digest, manifest->text,
                            proposal.next.object_path, "active"};
  update::RunInput input = run_input(std::move(proposal), stored.record);
  input.intent = stored.intent;
  begin(std::move(input), std::move(next_row), true);
}

// Ready means: nothing is half-way any more. An update that was only baking may go on baking; one whose end was decided may not.
void Agent::wait_for_recoveries() {
  std::vector<std::shared_ptr<Active>> resumed;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [id, active] : active_) resumed.push_back(active);
  }
  for (auto& active : resumed) {
    update::UpdateRecord record = active->run->record();
    while (!active->run->ended() && !(active->bakes_on && record.state == update::State::kBaking)) {
      record = active->run->wait(record.revision, std::chrono::seconds(1));
    }
  }
}

}  // namespace mapshift::agent
