// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/log.h"
#include "update/run.h"

namespace mapshift::update {

void Run::resume() {
  const std::string& intent = input_.intent;
  log::info("recovering an update",
            {{"update_id", input_.record.id}, {"state", std::string(to_string(input_.record.state))}, {"intent", intent}});
  owns_new_ = true;
  swap_begun_ = intent == kIntentSwap || intent == kIntentBake || intent == kIntentRollback;
  if (intent == kIntentCommit) {
    resume_commit();
  } else if (nothing_left()) {
    finish(State::kAborted, "nothing of the module was left at the agent's restart: the host was restarted", "recovery");
  } else if (intent == kIntentUndone) {
    resume_undone();
  } else if (swap_begun_) {
    // The state is stored after the intent, and an agent may have failed to store the intent: either one decides.
    resume_swapped(intent != kIntentBake || input_.record.state == State::kRollingBack);
  } else {
    const Status restored = restore(false);
    finish(restored ? State::kAborted : State::kStuck,
           restored ? "the agent stopped before the swap; undone at its restart" : restored.error().message, "recovery");
  }
}

// bpffs is empty after a restart of the host: no hook runs anything, and there is nothing to undo.
bool Run::nothing_left() {
  for (const std::string& dir : {paths_.root() + "/gen", paths_.root() + "/hooks"}) {
    const auto names = kernel_.list(dir);
    if (!names || !names->empty()) return false;
  }
  return true;
}

// The new generation was chosen: finish.
void Run::resume_commit() {
  keep_old_maps();
  stop_watching();
  if (Status promoted = journal_.promote(record()); !promoted) {
    finish(State::kStuck, "the new generation runs, but it could not be stored: " + promoted.error().message, "");
    return;
  }
  const Status dropped = drop(input_.record.from.generation);
  finish(State::kCommitted,
         dropped ? "committed at the agent's restart"
                 : "committed at the agent's restart; what is left of the old generation goes at the next start: " +
                       dropped.error().message,
         "recovery");
}

// The old generation runs and has everything: what is left of the new one goes.
void Run::resume_undone() {
  const std::string before = record().reason;
  const std::string why = before.empty() ? "the agent stopped while it undid the update" : before;
  const std::string text = why + "; finished at the agent's restart";
  if (Status dropped = drop(input_.plan.to.generation); !dropped) {
    finish(State::kStuck, text + "; and dropping the new generation failed: " + dropped.error().message, "recovery");
    return;
  }
  finish(State::kRolledBack, text, "recovery");
}

// Both generations' maps are in step, and hooks may run either. `decided`: to go back.
void Run::resume_swapped(bool decided) {
  Status ready = check_bases();
  if (ready) ready = open_pairs();
  if (!ready && ready.error().code == ErrorCode::kNotFound) {
    resume_without_base(ready.error());
    return;
  }
  if (!ready) {
    finish(State::kStuck, "the update cannot be continued: " + ready.error().message, "recovery");
    return;
  }
  if (decided) {
    const std::string before = record().reason;
    const std::string stopped = input_.intent == kIntentRollback ? "the agent stopped as it began to roll back" : "the agent stopped in mid-swap";
    roll_back(before.empty() ? stopped + "; undone at its restart" : before + "; finished at the agent's restart", "recovery");
    return;
  }
  if (Status settled = settle(SyncPhase::kLiveNew, input_.limits.migration_timeout); !settled) {
    roll_back("after the agent's restart the generations did not settle: " + settled.error().message, "recovery");
    return;
  }
  bake();
  conclude();
}

// Without a base nothing can be moved exactly: a new one would count everything twice. The old generation comes back with
// what it has.
void Run::resume_without_base(const Error& why) {
  pairs_.clear();
  warn("not-continued", "maps",
       "what the new generation wrote after the last pass before the agent stopped stayed behind: " + why.message);
  const std::string before = record().reason;
  roll_back((before.empty() ? "" : before + "; ") + "the update could not be continued exactly and was undone: " + why.message,
            "recovery");
}

// A base that is gone would come back empty, and everything would be counted twice. A map may also be one that could not be
// planned like this any more.
Status Run::check_bases() {
  for (const MapRecord& map : input_.record.maps) {
    const auto planned = std::ranges::find(input_.plan.maps, map.name, &MapPlan::name);
    if (map.policy != "sync" || (planned != input_.plan.maps.end() && planned->sync)) continue;
    const std::string why = planned == input_.plan.maps.end() ? "it is gone" : planned->record.reason;
    return fail(ErrorCode::kNotFound, "map " + map.name + " cannot be synchronised any more: " + why);
  }
  for (const MapPlan& map : input_.plan.maps) {
    if (!map.sync) continue;
    MS_TRY(const auto names, kernel_.list(paths_.sync(map.name)));
    if (std::find(names.begin(), names.end(), "base") == names.end()) {
      return fail(ErrorCode::kNotFound, "the base of map " + map.name + " is gone from " + paths_.sync(map.name));
    }
  }
  return {};
}

}  // namespace mapshift::update
