// SPDX-License-Identifier: Apache-2.0
#include <pthread.h>

#include "agent/agent.h"
#include "base/log.h"
#include "update/objectives.h"
#include "update/planner.h"
#include "update/planner_together.h"

namespace mapshift::agent {

Result<Agent::Proposal> Agent::propose(const update::Manifest& manifest, const std::optional<Nanos>& bake) {
  Proposal out;
  MS_TRY(out.row, row(manifest.name));
  MS_TRY(out.old_side, prepare_running(*kernel_, config_.bpffs, out.row));
  MS_TRY(out.next, prepare(manifest, out.row.generation + 1, ""));
  config::Limits limits;
  std::vector<slo::Objective> common;
  {
    const std::lock_guard lock(mutex_);
    limits = config_.limits;
    common = config_.objectives;
  }
  update::Judging judging = update::judging_of(manifest, common, bake, out.next.input.object, attached_programs(out.next));
  if (judging.analysis.bake > Nanos(0)) update::try_sources(sources(), judging);
  out.plan = plan_update(*kernel_, config_.bpffs, out.old_side, out.next, limits,
                         gone_hooks(*kernel_, update::Paths(config_.bpffs, manifest.name), out.old_side));
  out.plan.refusals.insert(out.plan.refusals.end(), judging.refusals.begin(), judging.refusals.end());
  out.plan.warnings.insert(out.plan.warnings.end(), judging.warnings.begin(), judging.warnings.end());
  const std::vector<Problem> mixed = update::mixed_objectives(judging.analysis, out.next.input.object, out.plan);
  out.plan.warnings.insert(out.plan.warnings.end(), mixed.begin(), mixed.end());
  out.analysis = std::move(judging.analysis);
  const std::vector<Problem> kept = leases_.warnings(manifest.name);
  out.plan.warnings.insert(out.plan.warnings.end(), kept.begin(), kept.end());
  return out;
}

Result<update::UpdateRecord> Agent::plan(const update::Manifest& manifest) {
  MS_TRY(Proposal proposal, propose(manifest, {}));
  MS_CHECK(check_quarantine(proposal));
  update::UpdateRecord record = update::to_record(proposal.plan);
  for (update::MapRecord& map : record.maps) map.changes = changes_.forecast({record.module, map.name}, proposal.next.input);
  record.created_at = record.updated_at = now_text();
  record.digest = proposal.next.input.object.digest;
  return record;
}

Status Agent::admit(const std::string& module, const http::UpdateOptions& options, const store::ModuleRow& row) {
  if (options.if_generation && *options.if_generation != row.generation) {
    return fail(ErrorCode::kStale, "module \"" + module + "\" is at generation " + std::to_string(row.generation) + ", not " +
                                       std::to_string(*options.if_generation) + ": plan again on what runs now");
  }
  if (auto running = active_of_module(module)) {
    return fail(ErrorCode::kConflict, "update " + running->run->record().id + " of module \"" + module + "\" is under way: wait for it, or end it with `mapshift commit`, `rollback` or `abort`");
  }
  reap();
  const std::lock_guard lock(mutex_);
  if (stopping_) return fail(ErrorCode::kUnavailable, "the agent is stopping");
  if (active_.size() >= static_cast<size_t>(config_.limits.max_concurrent_updates)) {
    return fail(ErrorCode::kConflict, std::to_string(active_.size()) + " updates are under way, as many as limits.max_concurrent_updates allows: wait for one to end");
  }
  return {};
}

update::RunInput Agent::run_input(Proposal proposal, update::UpdateRecord record) {
  update::RunInput input;
  update::GenerationInput next = proposal.next.input;
  input.record = std::move(record);
  input.plan = std::move(proposal.plan);
  input.old_manifest = std::move(proposal.old_side.input.manifest);
  input.new_manifest = std::move(proposal.next.input.manifest);
  input.old_object = std::move(proposal.old_side.input.object);
  input.new_object = std::move(proposal.next.input.object);
  input.old_attach = std::move(proposal.old_side.attach);
  input.new_attach = std::move(proposal.next.attach);
  input.new_object_path = std::move(proposal.next.object_path);
  input.analysis = std::move(proposal.analysis);
  input.log_dir = config_.state_dir + "/logs";
  input.bpffs = config_.bpffs;
  input.limits = config_.limits;
  input.sources = sources();
  input.before_load = [this, next = std::make_shared<update::GenerationInput>(std::move(next))](LoadRequest& request) {
    changes_.prepare(*next, request);
    return Status();
  };
  input.published = [this, module = input.record.module](uint64_t generation) { changes_.published(module, generation); };
  return input;
}

// The caller's file may change or go; from here on only the copy is read.
Status Agent::keep_object(Proposal& proposal) {
  MS_TRY(proposal.next.object_path, store_->keep_object(proposal.next.input.object.path, proposal.next.input.object.digest));
  proposal.next.input.object.path = proposal.next.object_path;
  for (update::MapPlan& map : proposal.plan.maps)
    if (map.sync && map.sync->transform) map.sync->transform->object_path = proposal.next.object_path;
  return {};
}

Result<update::UpdateRecord> Agent::start_update(const update::Manifest& manifest, const http::UpdateOptions& options) {
  if (!ready()) return fail(ErrorCode::kUnavailable, "the agent is still recovering: try again in a moment");
  const std::lock_guard change(change_);
  if (!options.idempotency_key.empty()) {
    MS_TRY(const auto earlier, store_->find_by_idempotency_key(options.idempotency_key));
    if (earlier) return update(earlier->record.id, 0, std::chrono::nanoseconds(0));
  }
  MS_TRY(store::ModuleRow running, row(manifest.name));
  MS_CHECK(admit(manifest.name, options, running));
  const Nanos planned_from = monotonic_now();
  MS_TRY(Proposal proposal, propose(manifest, options.bake));
  if (!options.force_quarantined) MS_CHECK(check_quarantine(proposal));
  if (!proposal.plan.refusals.empty()) {
    return fail(Error{ErrorCode::kRefused, 0, "the update of \"" + manifest.name + "\" is refused; nothing was changed", {}, proposal.plan.refusals});
  }
  if (proposal.plan.lossy && !options.allow_lossy) {
    std::vector<Problem> lossy;
    for (const update::MapPlan& map : proposal.plan.maps) {
      if (map.record.lossy) lossy.push_back({"lossy", "maps." + map.name, map.record.reason});
    }
    return fail(Error{ErrorCode::kRefused, 0, "the update of \"" + manifest.name + "\" would lose state; `--allow-lossy` (\"allow_lossy\": true) accepts that", {}, std::move(lossy)});
  }
  MS_CHECK(keep_object(proposal));

  update::UpdateRecord record = update::to_record(proposal.plan);
  record.state = update::State::kPlanning;
  record.trigger = options.trigger;
  record.digest = proposal.next.input.object.digest;
  record.created_at = record.updated_at = now_text();
  record.revision = 1;
  record.phases = {{"planning", Seconds(monotonic_now() - planned_from).count()}};
  record.bake_seconds = Seconds(proposal.analysis.bake).count();
  MS_TRY(record.id, store_->create_update({record, manifest.text, running.manifest, options.idempotency_key}));
  store::ModuleRow next{manifest.name, running.generation + 1, manifest.version, record.digest, manifest.text, proposal.next.object_path, "active"};
  leases_.end(manifest.name, "update " + record.id + " begins");
  update::RunInput input = run_input(std::move(proposal), record);
  begin(std::move(input), std::move(next), false);
  return record;
}

void Agent::begin(update::RunInput input, store::ModuleRow next, bool resumed) {
  auto active = std::make_shared<Active>();
  const std::string id = input.record.id;
  active->bakes_on = resumed && input.intent == update::kIntentBake;
  active->journal = std::make_unique<StoreJournal>(
      *store_, next, StoreJournal::Hooks{[this, module = next.name] { collect_programs(metrics_, module); },
                                         [this, id](const store::ModuleRow& row) { show_module(row, id); }});
  active->run = std::make_unique<update::Run>(*kernel_, *active->journal, observer_, std::move(input));
  {
    const std::lock_guard lock(mutex_);
    active_.emplace(id, active);
  }
  if (active->bakes_on && active->run->record().state == update::State::kBaking) {
    show_module(next, id);
    changes_.published(next.name, next.generation);
  }
  active->thread = std::thread([this, run = active->run.get(), module = next.name, resumed] {
    pthread_setname_np(pthread_self(), "update");
    if (resumed) run->resume();
    else run->execute();
    const update::State state = run->record().state;
    if (update::is_final(state) && state != update::State::kCommitted) show_running(module);
    if (update::is_final(state)) changes_.settled(module);
    if (state == update::State::kCommitted) leases_.take_up(module);
    wake_.notify_all();
  });
}

}  // namespace mapshift::agent
