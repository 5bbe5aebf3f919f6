// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "cli/exit_status.h"
#include "scripted_agent.h"

namespace mapshift::cli {
namespace {

using config::to_json;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;
using update::State;

TEST(Commands, LoadSendsAnAbsolutePathAndTheSettings) {
  ScriptedAgent agent;
  agent.answer(201, to_json(module_with({})));
  const Outcome outcome = run_line(agent, {"load", "./m.json", "--set", "IFACE=eth0"});
  EXPECT_EQ(outcome.status, kDone) << outcome.err;
  ASSERT_THAT(agent.asked, SizeIs(1));
  EXPECT_EQ(agent.asked[0].method, "POST");
  EXPECT_EQ(agent.asked[0].path, "/api/v1/modules");
  const Json body = Json::parse(agent.asked[0].body);
  EXPECT_THAT(body["manifest"].get<std::string>(), StartsWith("/"));
  EXPECT_EQ(body["set"]["IFACE"], "eth0");
  EXPECT_THAT(outcome.out, HasSubstr("Loaded flowmeter 1.0.0, generation 1"));
}

TEST(Commands, WhatIsNoFileHereIsANameOfTheAgents) {
  ScriptedAgent agent;
  agent.answer(201, to_json(module_with({})));
  EXPECT_EQ(run_line(agent, {"load", "flowmeter"}).status, kDone);
  ASSERT_THAT(agent.asked, SizeIs(1));
  EXPECT_EQ(Json::parse(agent.asked[0].body)["manifest"], "flowmeter");
}

TEST(Commands, APlanThatWouldBeRefusedIsStatusOne) {
  ScriptedAgent agent;
  update::UpdateRecord plan = record_in(State::kPlanned);
  agent.answer(200, to_json(plan));
  EXPECT_EQ(run_line(agent, {"plan", "m.json"}).status, kDone);
  plan.refusals = {{"key-layout", "maps.flows", "the key's layout differs"}};
  agent.answer(200, to_json(plan));
  const Outcome outcome = run_line(agent, {"plan", "m.json"});
  EXPECT_EQ(outcome.status, kFailed);
  EXPECT_THAT(outcome.out, HasSubstr("maps.flows: the key's layout differs"));
}

TEST(Commands, AnUpdateCarriesItsConditions) {
  ScriptedAgent agent;
  agent.answer(202, to_json(record_in(State::kPlanning)));
  const Outcome outcome = run_line(agent, {"update", "m.json", "--bake", "5s", "--allow-lossy", "--if-generation", "3"});
  EXPECT_EQ(outcome.status, kDone);
  EXPECT_THAT(agent.asked[0].headers, Contains("If-Match: \"3\""));
  const Json body = Json::parse(agent.asked[0].body);
  EXPECT_EQ(body["bake"], "5s");
  EXPECT_EQ(body["allow_lossy"], true);
}

TEST(Commands, WaitFollowsToTheEnd) {
  const std::vector<std::pair<State, int>> ends = {{State::kCommitted, kDone},
                                                   {State::kRolledBack, kRolledBack},
                                                   {State::kFailed, kFailed},
                                                   {State::kAborted, kFailed},
                                                   {State::kStuck, kFailed}};
  for (const auto& [end, status] : ends) {
    ScriptedAgent agent;
    agent.answer(202, to_json(record_in(State::kPlanning, 1)));
    agent.answer(200, to_json(record_in(State::kSyncing, 2)));
    agent.answer(200, to_json(record_in(end, 3)));
    const Outcome outcome = run_line(agent, {"--output", "json", "update", "m.json", "--wait"});
    EXPECT_EQ(outcome.status, status);
    EXPECT_EQ(agent.asked[1].path, "/api/v1/updates/u-000001?since=1&wait=30s");
    EXPECT_EQ(agent.asked[2].path, "/api/v1/updates/u-000001?since=2&wait=30s");
    EXPECT_EQ(Json::parse(outcome.out)["state"], to_string(end));  // one document, and it is the last
    EXPECT_THAT(outcome.err, HasSubstr("syncing"));
  }
}

TEST(Commands, WaitOutlivesAnAgentThatStartsAgain) {
  ScriptedAgent agent;
  agent.answer(202, to_json(record_in(State::kPlanning, 1)));
  agent.be_silent();
  agent.answer(200, to_json(record_in(State::kCommitted, 3)));
  EXPECT_EQ(run_line(agent, {"update", "m.json", "--wait"}).status, kDone);
  EXPECT_THAT(agent.asked, SizeIs(3));
}

TEST(Commands, ProblemsAreShownInFull) {
  const Json problem = {
      {"type", "about:blank"},
      {"title", "Refused"},
      {"status", 422},
      {"detail", "2 reasons"},
      {"context", "insn 1\ninsn 2"},
      {"errors",
       {{{"code", "a"}, {"where", "maps.x"}, {"message", "first"}}, {{"code", "b"}, {"where", ""}, {"message", "second"}}}}};
  ScriptedAgent agent;
  agent.answer(422, problem);
  Outcome outcome = run_line(agent, {"update", "m.json"});
  EXPECT_EQ(outcome.status, kFailed);
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_EQ(outcome.err, "error: 2 reasons\n  - maps.x: first\n  - second\n  insn 1\n  insn 2\n");
  agent.answer(422, problem);
  outcome = run_line(agent, {"update", "m.json", "--output", "json"});
  EXPECT_EQ(outcome.status, kFailed);
  EXPECT_EQ(Json::parse(outcome.out), problem);
}

TEST(Commands, NoAgentIsStatusFour) {
  ScriptedAgent agent;
  const Outcome outcome = run_line(agent, {"--output", "json", "status"});
  EXPECT_EQ(outcome.status, kUnreachable);
  EXPECT_EQ(Json::parse(outcome.out)["title"], "Agent not reachable");
}

TEST(Commands, WhatIsNoAgentIsNotReadAsOne) {
  ScriptedAgent agent;
  agent.answer(200, Json::array({1}));
  agent.answer(200, Json{{"modules", 7}});
  agent.answer(200, Json{{"state", "nonsense"}});
  EXPECT_EQ(run_line(agent, {"status", "m"}).status, kFailed);
  EXPECT_EQ(run_line(agent, {"status"}).status, kFailed);
  EXPECT_EQ(run_line(agent, {"explain", "u-1"}).status, kFailed);
}

TEST(Commands, StatusHistoryUnload) {
  ScriptedAgent agent;
  agent.answer(200, Json{{"modules", {to_json(module_with({}))}}});
  EXPECT_THAT(run_line(agent, {"status"}).out, HasSubstr("flowmeter"));
  agent.answer(200, Json{{"updates", {to_json(record_in(State::kCommitted))}}});
  EXPECT_THAT(run_line(agent, {"history", "a/b"}).out, HasSubstr("u-000001"));
  EXPECT_EQ(agent.asked[1].path, "/api/v1/updates?module=a%2Fb");
  agent.answer(204, nullptr);
  const Outcome outcome = run_line(agent, {"unload", "flowmeter", "--output", "json"});
  EXPECT_EQ(outcome.status, kDone);
  EXPECT_EQ(Json::parse(outcome.out)["unloaded"], true);
  EXPECT_EQ(agent.asked[2].method, "DELETE");
}

TEST(Commands, WhatTheAgentSaysCannotDriveTheTerminal) {
  ScriptedAgent agent;
  update::UpdateRecord record = record_in(State::kFailed);
  record.reason = "\x1b[2Jgone \xC2\x9B" "2J";
  agent.answer(200, to_json(record));
  const Outcome outcome = run_line(agent, {"explain", "u-000001"});
  EXPECT_THAT(outcome.out, HasSubstr("?[2Jgone ?2J"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace mapshift::cli
