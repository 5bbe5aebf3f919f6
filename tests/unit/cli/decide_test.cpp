// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "cli/exit_status.h"
#include "scripted_agent.h"

namespace mapshift::cli {
namespace {

using config::to_json;
using ::testing::HasSubstr;
using update::State;

int decide_and_end(const char* command, State end) {
  ScriptedAgent agent;
  agent.answer(200, to_json(module_with({record_in(State::kBaking, 5)})));
  agent.answer(202, to_json(record_in(State::kBaking, 5)));
  agent.answer(200, to_json(record_in(end, 6)));
  const Outcome outcome = run_line(agent, {"--output", "json", command, "flowmeter", "--reason", "because"});
  EXPECT_EQ(agent.asked[0].path, "/api/v1/modules/flowmeter");
  EXPECT_EQ(agent.asked[1].path, std::string("/api/v1/updates/u-000001/") + command);
  EXPECT_EQ(Json::parse(agent.asked[1].body)["reason"], "because");
  EXPECT_EQ(Json::parse(outcome.out)["state"], to_string(end));
  return outcome.status;
}

TEST(Decide, DoneWhenItEndsAsAsked) {
  EXPECT_EQ(decide_and_end("rollback", State::kRolledBack), kDone);
  EXPECT_EQ(decide_and_end("rollback", State::kCommitted), kFailed);
  EXPECT_EQ(decide_and_end("rollback", State::kStuck), kFailed);
  EXPECT_EQ(decide_and_end("commit", State::kCommitted), kDone);
  EXPECT_EQ(decide_and_end("commit", State::kRolledBack), kRolledBack);
  EXPECT_EQ(decide_and_end("abort", State::kAborted), kDone);
  EXPECT_EQ(decide_and_end("abort", State::kRolledBack), kDone);
  EXPECT_EQ(decide_and_end("abort", State::kFailed), kFailed);
}

TEST(Decide, NothingRunsIsSaidPlainly) {
  ScriptedAgent agent;
  agent.answer(200, to_json(module_with({})));
  const Outcome outcome = run_line(agent, {"rollback", "flowmeter"});
  EXPECT_EQ(outcome.status, kFailed);
  EXPECT_THAT(outcome.err, HasSubstr("no update of flowmeter is running, so there is nothing to roll back"));
}

TEST(Decide, AnUnknownModuleIsTheAgentsAnswer) {
  ScriptedAgent agent;
  agent.answer(404, Json{{"title", "Not found"}, {"detail", "no module \"x\""}});
  const Outcome outcome = run_line(agent, {"commit", "x"});
  EXPECT_EQ(outcome.status, kFailed);
  EXPECT_THAT(outcome.err, HasSubstr("no module \"x\""));
}

}  // namespace
}  // namespace mapshift::cli
