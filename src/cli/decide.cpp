// SPDX-License-Identifier: Apache-2.0
#include "cli/decide.h"

#include <fmt/format.h>

#include "cli/follow.h"
#include "cli/render_status.h"
#include "config/record_json.h"

namespace mapshift::cli {
namespace {

using update::State;

// An agent that took the decision needs at most its rollback timeout for it; this is far beyond.
constexpr FollowLimits kToTheEnd{.at_most = std::chrono::seconds(120)};

std::string verb(Command command) {
  if (command == Command::kRollback) return "rollback";
  return command == Command::kCommit ? "commit" : "abort";
}

ExitStatus judge(Command command, State state) {
  switch (state) {
    case State::kCommitted: return command == Command::kCommit ? kDone : kFailed;
    case State::kRolledBack: return command == Command::kCommit ? kRolledBack : kDone;
    case State::kAborted: return command == Command::kCommit ? kFailed : kDone;
    case State::kPlanned:
    case State::kPlanning:
    case State::kLoading:
    case State::kSyncing:
    case State::kSwapping:
    case State::kBaking:
    case State::kRollingBack:
    case State::kFailed:
    case State::kStuck: return kFailed;
  }
  return kFailed;
}

Failure nothing_runs(const Options& options) {
  return to_failure(
      {ErrorCode::kNotFound,
       0,
       fmt::format("no update of {} is running, so there is nothing to {}; see \"mapshift history {}\"", options.target,
                   options.command == Command::kRollback ? "roll back" : verb(options.command), options.target),
       {},
       {}});
}

}  // namespace

int decide(const Options& options, Agent& agent, Console& console) {
  const Answer<Json> module = agent.get("/api/v1/modules/" + encode(options.target));
  if (!module) return show(console, module.error());
  const Result<update::ModuleRecord> record = config::module_from_json(*module);
  if (!record) return show(console, to_failure(record.error()));
  if (record->running_update.empty()) return show(console, nothing_runs(options));
  Json request = Json::object();
  if (!options.reason.empty()) request["reason"] = options.reason;
  const std::string path = "/api/v1/updates/" + encode(record->running_update[0].id) + "/" + verb(options.command);
  Answer<Json> answer = agent.post(path, request);
  if (!answer) return show(console, answer.error());
  answer = follow(agent, std::move(*answer), console, kToTheEnd);
  if (!answer) return show(console, answer.error());
  const Result<update::UpdateRecord> ended = config::update_from_json(*answer);
  if (!ended) return show(console, to_failure(ended.error()));
  show(console, *answer, render_outcome(*ended));
  if (!is_final(ended->state))
    note(console, "The agent accepted, but the update has not ended yet; follow it with \"mapshift explain " + ended->id + "\".");
  return judge(options.command, ended->state);
}

}  // namespace mapshift::cli
