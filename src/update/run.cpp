// SPDX-License-Identifier: Apache-2.0
#include "update/run.h"

#include "base/log.h"
#include "update/load_request.h"

namespace mapshift::update {

Run::Run(Kernel& kernel, Journal& journal, Observer& observer, RunInput input)
    : kernel_(kernel), journal_(journal), observer_(observer), input_(std::move(input)), paths_(input_.bpffs, input_.record.module),
      sampler_(kernel, paths_, input_.record.module, input_.sources, [this](const slo::Objective& objective) { return migration(objective); },
               !input_.new_manifest.instances.empty() || !input_.old_manifest.instances.empty()),
      began_(monotonic_now()), phase_began_(began_), record_(input_.record) {}

Run::~Run() = default;

UpdateRecord Run::record() const {
  const std::lock_guard lock(mutex_);
  UpdateRecord copy = record_;
  if (!is_final(copy.state) && !copy.phases.empty()) copy.phases.back().seconds = Seconds(monotonic_now() - phase_began_).count();
  return copy;
}

UpdateRecord Run::wait(uint64_t since, Nanos timeout) const {
  {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [&] { return record_.revision > since || ended_; });
  }
  return record();
}

bool Run::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

Order Run::pending_order() const { return decision().order; }

Run::Decision Run::decision() const {
  const std::lock_guard lock(mutex_);
  return {order_, order_reason_, order_trigger_};
}

Status Run::order(Order order, const std::string& reason, const std::string& trigger) {
  const std::lock_guard lock(mutex_);
  if (ended_ || is_final(record_.state)) {
    return fail(ErrorCode::kConflict, "update " + record_.id + " has ended already: it is " + std::string(to_string(record_.state)));
  }
  if (order == Order::kCommit && record_.state != State::kBaking) {
    return fail(ErrorCode::kConflict, "update " + record_.id + " is " + std::string(to_string(record_.state)) + ": only a baking update can be committed");
  }
  if (order != Order::kStop && record_.state == State::kRollingBack) {
    return fail(ErrorCode::kConflict, "update " + record_.id + " is rolling back already");
  }
  if (order_ != Order::kNone && order_ != Order::kStop) {
    if (order == Order::kStop) return {};  // it ends as was decided
    return fail(ErrorCode::kConflict, "the end of update " + record_.id + " was ordered already");
  }
  order_ = order;
  order_reason_ = reason;
  order_trigger_ = trigger;
  if (cause_at_ == Nanos(0)) cause_at_ = monotonic_now();
  changed_.notify_all();
  return {};
}

// Every change that others may see goes through here: the revision grows and whoever waits is woken.
void Run::publish_record(const std::function<void(UpdateRecord&)>& edit, bool store) {
  UpdateRecord copy;
  {
    const std::lock_guard lock(mutex_);
    edit(record_);
    ++record_.revision;
    record_.updated_at = now_text();
    copy = record_;
  }
  changed_.notify_all();
  observer_.changed(copy);
  if (!store || urgent_) return;
  if (Status saved = journal_.save(copy); !saved) {
    log::error("cannot store the update's record", {{"update_id", copy.id}, {"error", saved.error().message}});
  }
}

void Run::warn(const std::string& code, const std::string& where, const std::string& message) {
  publish_record([&](UpdateRecord& record) { record.warnings.push_back({code, where, message}); }, false);
}

// `edit` says what else changes with the state: who sees the one sees the other.
void Run::enter(State state, const std::function<void(UpdateRecord&)>& edit) {
  const Nanos now = monotonic_now();
  const double seconds = Seconds(now - phase_began_).count();
  const UpdateRecord before = record();
  if (!before.phases.empty()) observer_.phase_ended(before, before.phases.back().phase, seconds);  // first: who sees the next phase finds it counted
  publish_record(
      [&](UpdateRecord& record) {
        if (!record.phases.empty()) record.phases.back().seconds = seconds;
        record.state = state;
        if (!is_final(state)) record.phases.push_back({std::string(to_string(state)), 0});
        if (edit) edit(record);
      },
      true);
  phase_began_ = now;
  log::info("update " + std::string(to_string(state)), {{"update_id", input_.record.id}, {"module", input_.record.module}});
}

Status Run::intend(const char* intent) { return journal_.set_intent(input_.record.id, intent); }

// On the way back a missing intent costs a restarted agent time, or a needless warning; it is no reason to stop.
void Run::intend_or_log(const char* intent) {
  if (Status intended = intend(intent); !intended) {
    log::error("cannot write the intent", {{"update_id", input_.record.id}, {"intent", intent}, {"error", intended.error().message}});
  }
}

Status Run::interrupted() {
  switch (pending_order()) {
    case Order::kNone:
    case Order::kCommit: return {};
    case Order::kStop: return fail(ErrorCode::kUnavailable, "the agent was stopped before the swap");
    case Order::kRollback:
    case Order::kAbort: return fail(ErrorCode::kConflict, "ended by order");
  }
  return {};
}

void Run::execute() {
  if (Status done = advance(); !done) {
    give_up(done.error());
    return;
  }
  bake();
  conclude();
}

Status Run::advance() {
  MS_CHECK(interrupted());
  MS_CHECK(clear_leftovers());
  owns_new_ = true;
  MS_CHECK(intend(kIntentLoad));
  enter(State::kLoading);
  MS_CHECK(load());
  MS_CHECK(interrupted());
  enter(State::kSyncing);
  MS_CHECK(open_pairs());
  measure_baseline();
  MS_CHECK(precopy());
  MS_CHECK(interrupted());
  MS_CHECK(intend(kIntentSwap));
  enter(State::kSwapping);
  swap_begun_ = true;
  return swap();
}

// What an earlier update could not remove: its base would be taken for ours. Where a hook still runs such a generation,
// that update is stuck and nothing of it may go.
Status Run::clear_leftovers() {
  MS_TRY(const auto generation, kernel_.list(paths_.generation(input_.plan.to.generation)));
  MS_TRY(const auto bases, kernel_.list(paths_.syncs()));
  if (generation.empty() && bases.empty()) return {};
  for (const ProgramPlan& program : input_.plan.programs) {
    if (program.swap != ProgramPlan::Swap::kNative && program.swap != ProgramPlan::Swap::kDispatcher &&
        program.swap != ProgramPlan::Swap::kOverlap) {
      continue;
    }
    MS_TRY(const bool gone, kernel_.place_gone(paths_.hook(program.name)));
    if (gone) continue;
    MS_TRY(const int side, kernel_.running(hook_of(program), paths_.hook(program.name),
                                           paths_.program(input_.plan.from.generation, program.name),
                                           paths_.program(input_.plan.to.generation, program.name)));
    if (side == 0) continue;
    return fail(ErrorCode::kConflict, program.name + " runs generation " + std::to_string(input_.plan.to.generation) + " already: an earlier "
                                      "update is stuck; see its `explain`, then unload the module and load it again");
  }
  return drop(input_.plan.to.generation);
}

Status Run::load() {
  MS_TRY(LoadRequest request, load_request(input_.new_manifest, input_.new_object, input_.new_object_path, paths_,
                                                 input_.record.to.generation, input_.log_dir, &input_.plan));
  if (input_.before_load) MS_CHECK(input_.before_load(request));
  MS_TRY(const LoadReport report, kernel_.load(request));
  for (const std::string& skipped : report.skipped_programs) {
    log::warn("an optional program did not load", {{"update_id", input_.record.id}, {"program", skipped}});
    warn("optional-skipped", "programs." + skipped,
         "the kernel refused this optional program: its hook does without it in the new generation");
    skipped_.insert(skipped);
  }
  return {};
}

// Something failed, or was ordered, before the bake.
void Run::give_up(const Error& error) {
  const Decision ended = decision();
  const bool ordered = ended.order == Order::kAbort || ended.order == Order::kRollback || ended.order == Order::kStop;
  std::string text = ordered && !ended.reason.empty() ? ended.reason : error.message;
  if (!error.context.empty()) text += "\n" + error.context;
  if (canary_begun_ && (ended.order == Order::kRollback || ended.order == Order::kAbort)) {
    roll_back(ended.reason, ended.trigger);
    return;
  }
  if (swap_begun_) {
    intend_or_log(kIntentRollback);
    enter(State::kRollingBack, [&](UpdateRecord& record) { record.reason = text; });
  }
  if (Status restored = restore(swap_begun_); !restored) {
    finish(State::kStuck, text + "; and undoing it failed: " + restored.error().message, ended.trigger);
    return;
  }
  const bool timed_out = error.code == ErrorCode::kTimeout;
  if (ordered) finish(State::kAborted, text, ended.trigger);
  else finish(State::kFailed, text, timed_out ? "stall" : "");
}

// The bake is over, or was ended.
void Run::conclude() {
  Decision ended;
  {
    const std::lock_guard lock(mutex_);
    ended = {order_, order_reason_, order_trigger_};
    // The agent ends in mid-bake: everything that matters is pinned, and the next start goes on.
    ended_ = ended.order == Order::kNone || ended.order == Order::kStop;
  }
  switch (ended.order) {
    case Order::kCommit: commit(ended.reason, ended.trigger); return;
    case Order::kAbort:
    case Order::kRollback: roll_back(ended.reason, ended.trigger); return;
    case Order::kNone:
    case Order::kStop: changed_.notify_all(); return;
  }
}

void Run::commit(const std::string& reason, const std::string& trigger) {
  verify();
  look_at_hooks();
  look_at_maps();
  if (Status intended = intend(kIntentCommit); !intended) {
    roll_back("the commit could not be stored: " + intended.error().message, "recovery");
    return;
  }
  stop_watching();
  pairs_.clear();
  keep_old_maps();
  if (Status promoted = journal_.promote(record()); !promoted) {
    finish(State::kStuck, "the new generation runs, but it could not be stored: " + promoted.error().message, "");
    return;
  }
  std::string text = reason;
  if (Status dropped = drop(input_.record.from.generation); !dropped) {
    text += text.empty() ? "" : "; ";
    text += "what is left of the old generation goes at the next start: " + dropped.error().message;
  }
  finish(State::kCommitted, text, trigger);
}

void Run::roll_back(const std::string& reason, const std::string& trigger) {
  intend_or_log(kIntentRollback);
  enter(State::kRollingBack, [&](UpdateRecord& record) {
    record.reason = reason;
    record.trigger = trigger;
  });
  if (Status restored = restore(true); !restored) {
    finish(State::kStuck, reason + "; and rolling back failed: " + restored.error().message, trigger);
    return;
  }
  finish(State::kRolledBack, reason, trigger);
}

void Run::finish(State state, const std::string& reason, const std::string& trigger) {
  catch_up_journal();
  pairs_.clear();
  UpdateRecord last = record();
  last.state = state;
  if (!trigger.empty()) last.trigger = trigger;
  observer_.finished(last, Seconds(monotonic_now() - began_).count());  // first: who sees the end finds it counted
  enter(state, [&](UpdateRecord& record) {
    record.reason = reason;
    if (!trigger.empty()) record.trigger = trigger;
  });
  log::info("update ended", {{"update_id", input_.record.id}, {"state", std::string(to_string(state))}, {"reason", reason}});
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

}  // namespace mapshift::update
