// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "cli/event_parser.h"
#include "scripted_agent.h"

namespace mapshift::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kChange = "event: change\nid: 41\ndata: {\"seq\":41,\"pid\":7,\"op\":\"delete\",\"key_hash\":255,\"source\":\"syscall\"}\n\n";
constexpr const char* kResync = "event: resync\nid: 50\ndata: {\"version\":50,\"lost\":3,\"reason\":\"slow\"}\n\n";
constexpr const char* kEnd = "event: resync\nid: 50\ndata: {\"version\":50,\"lost\":0,\"reason\":\"unwatched\"}\n\n";

std::vector<ServerEvent> parse(const std::vector<std::string>& pieces) {
  EventParser parser;
  std::vector<ServerEvent> out;
  for (const std::string& piece : pieces) EXPECT_TRUE(parser.feed(piece, [&](const ServerEvent& event) { out.push_back(event); }));
  return out;
}

TEST(EventParser, ReadsEventsInWhateverPiecesTheyCome) {
  const std::string text = std::string("retry: 1\n: a comment\n\n") + kChange + "data: a\ndata: b\r\n\r\ndata:c\rid:9\r\r";
  const auto whole = parse({text});
  ASSERT_EQ(whole.size(), 3U);
  EXPECT_EQ(whole[0].kind, "change");
  EXPECT_EQ(whole[0].id, "41");
  EXPECT_EQ(whole[1].data, "a\nb");
  EXPECT_EQ(whole[2].data, "c");
  EXPECT_EQ(whole[2].id, "9");
  std::vector<std::string> bytes;
  for (const char c : text) bytes.emplace_back(1, c);
  const auto pieces = parse(bytes);
  ASSERT_EQ(pieces.size(), 3U);
  EXPECT_EQ(pieces[1].data, whole[1].data);
  EXPECT_TRUE(parse({"event: change\ndata: {}\n"}).empty()) << "an event ends with an empty line";
}

TEST(EventParser, RefusesAnEventWithoutEnd) {
  EventParser parser;
  EXPECT_FALSE(parser.feed("data: " + std::string(EventParser::kMaxEvent + 1, 'x'), [](const ServerEvent&) {}));
}

TEST(ChangesCommand, PrintsWhatThereIsAndEnds) {
  ScriptedAgent agent;
  agent.stream("50", {kChange, kResync, kChange});
  const Outcome done = run_line(agent, {"--output", "json", "changes", "flowmeter/flows", "--since", "40"});
  EXPECT_EQ(done.status, kDone) << done.err;
  EXPECT_EQ(agent.asked[0].path, "/api/v1/changes?module=flowmeter&map=flows&since=40");
  const Json document = Json::parse(done.out);
  EXPECT_EQ(document["version"], 50);
  ASSERT_EQ(document["events"].size(), 2U) << "what comes after the version at the beginning is not waited for";
  EXPECT_EQ(document["events"][0]["event"], "change");
  EXPECT_EQ(document["events"][1]["reason"], "slow");
}

TEST(ChangesCommand, SaysThatNothingChanged) {
  ScriptedAgent agent;
  agent.stream("50", {": watching\n\n", kChange});
  const Outcome done = run_line(agent, {"changes", "flowmeter/flows"});
  EXPECT_EQ(done.status, kDone);
  EXPECT_EQ(done.out, "flowmeter/flows is at version 50; nothing changed since.\n");
}

TEST(ChangesCommand, FollowsWithOneObjectALine) {
  ScriptedAgent agent;
  agent.stream("40", {kChange, kEnd});
  const Outcome done = run_line(agent, {"--output", "json", "changes", "flowmeter/flows", "--follow"});
  EXPECT_EQ(done.status, kFailed);
  std::istringstream lines(done.out);
  std::string line;
  std::vector<Json> objects;
  while (std::getline(lines, line)) objects.push_back(Json::parse(line));
  ASSERT_EQ(objects.size(), 3U);
  EXPECT_EQ(objects[0]["op"], "delete");
  EXPECT_EQ(objects[1]["reason"], "unwatched");
  EXPECT_THAT(objects[2]["detail"].get<std::string>(), HasSubstr("not watched any more"));
}

TEST(ChangesCommand, ConnectsAgainAfterTheLastEvent) {
  ScriptedAgent agent;
  agent.stream("40", {kChange});  // the agent stops
  agent.be_silent_stream();       // and is away
  agent.stream("50", {kEnd});
  const Outcome done = run_line(agent, {"changes", "flowmeter/flows", "--follow"});
  EXPECT_EQ(done.status, kFailed);
  ASSERT_EQ(agent.asked.size(), 3U);
  EXPECT_THAT(agent.asked[2].path, HasSubstr("&since=41"));
  EXPECT_THAT(done.out, HasSubstr("41                   delete #000000ff"));
}

TEST(ChangesCommand, PassesOnWhatTheAgentRefuses) {
  ScriptedAgent agent;
  agent.refuse_stream(409, R"({"title": "Conflict", "detail": "map is not watched: add it"})");
  const Outcome refused = run_line(agent, {"changes", "flowmeter/flows", "--follow"});
  EXPECT_EQ(refused.status, kFailed);
  EXPECT_THAT(refused.err, HasSubstr("add it"));
  agent.be_silent_stream();
  EXPECT_EQ(run_line(agent, {"changes", "flowmeter/flows", "--follow"}).status, kUnreachable);
}

TEST(ChangesCommand, WantsAModuleAndAMap) {
  ScriptedAgent agent;
  for (const char* target : {"flowmeter", "flowmeter/", "/flows", "a/b/c"}) EXPECT_EQ(run_line(agent, {"changes", target}).status, kUsage) << target;
  EXPECT_EQ(run_line(agent, {"changes", "a/b", "--since", "-1"}).status, kUsage);
  EXPECT_TRUE(agent.asked.empty());
}

}  // namespace
}  // namespace mapshift::cli
