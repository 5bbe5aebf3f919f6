// SPDX-License-Identifier: Apache-2.0
#include "update/run.h"

#include "base/log.h"
#include "update/load_request.h"

namespace mapshift::update {

Run::Run(Kernel& kernel, Journal& journal, Observer& observer, RunInput input)
    : kernel_(kernel), journal_(journal), observer_(observer), input_(std::move(input)), paths_(input_.bpffs, input_.record.module),
      sampler_(kernel, paths_), began_(monotonic_now()), phase_began_(began_), record_(input_.record) {}

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

Order Run::pending_order() const {
  const std::lock_guard lock(mutex_);
  return order_;
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
  if (order_ != Order::kNone && order_ != Order::kStop && order != Order::kStop) {
    return fail(ErrorCode::kConflict, "the end of update " + record_.id + " was ordered already");
  }
  order_ = order;
  order_reason_ = reason;
  order_trigger_ = trigger;
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
  if (!store) return;
  if (Status saved = journal_.save(copy); !saved) {
    log::error("cannot store the update's record", {{"update_id", copy.id}, {"error", saved.error().message}});
  }
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

Status Run::load() {
  MS_TRY(const LoadRequest request, load_request(input_.new_manifest, input_.new_object, input_.new_object_path, paths_,
                                                 input_.record.to.generation, input_.log_dir, &input_.plan));
  MS_TRY(const LoadReport report, kernel_.load(request));
  for (const std::string& skipped : report.skipped_programs) {
    log::warn("an optional program did not load", {{"update_id", input_.record.id}, {"program", skipped}});
  }
  return {};
}

// Something failed, or was ordered, before the bake.
void Run::give_up(const Error& error) {
  Order order = Order::kNone;
  std::string reason;
  std::string trigger;
  {
    const std::lock_guard lock(mutex_);
    order = order_;
    reason = order_reason_;
    trigger = order_trigger_;
  }
  const bool ordered = order == Order::kAbort || order == Order::kRollback || order == Order::kStop;
  std::string text = ordered && !reason.empty() ? reason : error.message;
  if (!error.context.empty()) text += "\n" + error.context;
  if (swap_begun_) {
    enter(State::kRollingBack);
    if (Status intended = intend(kIntentRollback); !intended) log::error("cannot write the intent", {{"error", intended.error().message}});
  }
  if (Status restored = restore(swap_begun_); !restored) {
    finish(State::kStuck, text + "; and undoing it failed: " + restored.error().message, trigger);
    return;
  }
  const bool timed_out = error.code == ErrorCode::kTimeout;
  if (ordered) finish(State::kAborted, text, trigger);
  else finish(State::kFailed, text, timed_out ? "stall" : "");
}

// The bake is over, or was ended.
void Run::conclude() {
  Order order = Order::kNone;
  std::string reason;
  std::string trigger;
  {
    const std::lock_guard lock(mutex_);
    order = order_;
    reason = order_reason_;
    trigger = order_trigger_;
  }
  switch (order) {
    case Order::kCommit: commit(); return;
    case Order::kAbort:
    case Order::kRollback: roll_back(reason, trigger); return;
    case Order::kNone:
    case Order::kStop: break;
  }
  // The agent ends in mid-bake: everything that matters is pinned, and the next start goes on.
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void Run::commit() {
  verify();
  if (Status intended = intend(kIntentCommit); !intended) {
    roll_back("the commit could not be stored: " + intended.error().message, "recovery");
    return;
  }
  pairs_.clear();
  const UpdateRecord now = record();
  if (Status promoted = journal_.promote(now); !promoted) {
    finish(State::kStuck, "the new generation runs, but it could not be stored: " + promoted.error().message, "");
    return;
  }
  Status dropped = drop(input_.record.from.generation);
  std::string reason;
  {
    const std::lock_guard lock(mutex_);
    reason = order_reason_;
  }
  if (!dropped) reason += (reason.empty() ? "" : "; ") + ("what is left of the old generation goes at the next start: " + dropped.error().message);
  std::string trigger;
  {
    const std::lock_guard lock(mutex_);
    trigger = order_trigger_;
  }
  finish(State::kCommitted, reason, trigger);
}

void Run::roll_back(const std::string& reason, const std::string& trigger) {
  enter(State::kRollingBack);
  publish_record([&](UpdateRecord& record) { record.reason = reason; record.trigger = trigger; }, false);
  if (Status intended = intend(kIntentRollback); !intended) log::error("cannot write the intent", {{"error", intended.error().message}});
  if (Status restored = restore(true); !restored) {
    finish(State::kStuck, reason + "; and rolling back failed: " + restored.error().message, trigger);
    return;
  }
  finish(State::kRolledBack, reason, trigger);
}

void Run::finish(State state, const std::string& reason, const std::string& trigger) {
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

void Run::resume() {
  const std::string intent = input_.intent;
  log::info("recovering an update", {{"update_id", input_.record.id}, {"state", std::string(to_string(input_.record.state))}, {"intent", intent}});
  if (intent == kIntentCommit) {  // the new generation was chosen: finish
    if (Status promoted = journal_.promote(record()); !promoted) {
      finish(State::kStuck, "the new generation runs, but it could not be stored: " + promoted.error().message, "");
      return;
    }
    Status dropped = drop(input_.record.from.generation);
    finish(State::kCommitted, dropped ? "committed at the agent's restart" : dropped.error().message, "recovery");
    return;
  }
  swap_begun_ = intent == kIntentSwap || intent == kIntentBake || intent == kIntentRollback;
  if (!swap_begun_) {
    Status restored = restore(false);
    finish(restored ? State::kAborted : State::kStuck,
           restored ? "the agent stopped before the swap; undone at its restart" : restored.error().message, "recovery");
    return;
  }
  Status ready = check_bases();
  if (ready) ready = open_pairs();
  if (!ready) {
    finish(State::kStuck, "the update cannot be continued exactly: " + ready.error().message, "recovery");
    return;
  }
  if (intent != kIntentBake) {
    roll_back(record().reason.empty() ? "the agent stopped in mid-swap; undone at its restart" : record().reason, "recovery");
    return;
  }
  if (Status settled = settle(SyncPhase::kLiveNew, input_.limits.migration_timeout); !settled) {
    roll_back("after the agent's restart the generations did not settle: " + settled.error().message, "recovery");
    return;
  }
  bake();
  conclude();
}

}  // namespace mapshift::update
