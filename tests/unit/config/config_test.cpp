// SPDX-License-Identifier: Apache-2.0
#include "config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "documents.h"

namespace mapshift::config {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Error error_of(const std::string& text) {
  const Result<Config> config = parse_config(text, "agent.json");
  EXPECT_FALSE(config) << text;
  return config ? Error{} : config.error();
}

auto complaint(const std::string& where, const std::string& text) {
  return Contains(AllOf(Field("where", &Problem::where, where), Field("message", &Problem::message, HasSubstr(text))));
}

TEST(Config, AnEmptyObjectGivesTheDefaults) {
  const Result<Config> config = parse_config("{}", "agent.json");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->state_dir, "/var/lib/mapshift");
  EXPECT_EQ(config->api.port, 9848);
  EXPECT_EQ(config->metrics.port, 9847);
  EXPECT_EQ(config->token_file, "/run/mapshift/token");
  EXPECT_EQ(config->limits.migration_timeout, std::chrono::seconds(60));
  EXPECT_THAT(not_served(*config), IsEmpty());
}

TEST(Config, ReadsEveryMember) {
  const Result<Config> config = parse_config(kFullConfig, "agent.json");
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_THAT(config->changes.maps, SizeIs(1));
  EXPECT_EQ(config->changes.maps[0].name.map, "flows");
  EXPECT_TRUE(config->go.enabled);
  EXPECT_EQ(config->go.settings.overhead_budget, 0.02);
  EXPECT_EQ(config->go.settings.max_processes, 10u);
  EXPECT_EQ(config->go.settings.census_interval, std::chrono::seconds(30));
  ASSERT_THAT(config->go.settings.processes, SizeIs(2));
  EXPECT_EQ(config->go.settings.processes[0].path, "/usr/bin/*");
  EXPECT_EQ(config->go.settings.processes[0].cgroup, "*");
  EXPECT_EQ(config->go.settings.processes[1].path, "*");
  EXPECT_EQ(config->go.settings.processes[1].cgroup, "/system.slice/*");
  EXPECT_THAT(not_served(*config), IsEmpty());
}

TEST(Config, ReadsHowChangesAreFollowed) {
  using observe::changes::Mode;
  using observe::changes::Source;
  const Result<Config> config = parse_config(R"({"changes": {"ring_bytes": 65536, "history": 100, "maps": [
    {"module": "m", "map": "a"},
    {"module": "m", "map": "b", "sources": ["syscall", "scan"], "mode": "hybrid", "silence": "1s", "keys": true},
    {"module": "m", "map": "c", "mode": "pull", "interval": "50ms", "values": true}]}})", "f");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->changes.ring_bytes, 65536u);
  EXPECT_EQ(config->changes.history, 100u);
  ASSERT_THAT(config->changes.maps, SizeIs(3));
  const auto& [a, b, c] = std::tie(config->changes.maps[0], config->changes.maps[1], config->changes.maps[2]);
  EXPECT_TRUE(a.sources.empty() && !a.keys && !a.values && a.mode == Mode::kEvents) << "nothing leaves by default";
  EXPECT_THAT(b.sources, ElementsAre(Source::kSyscall, Source::kScan));
  EXPECT_TRUE(b.keys && !b.values && b.mode == Mode::kHybrid && b.silence == std::chrono::seconds(1));
  EXPECT_TRUE(c.keys && c.values && c.mode == Mode::kPull && c.pull_interval == std::chrono::milliseconds(50));
}

TEST(Config, SaysAllThatIsWrongWithChanges) {
  const Result<Config> config = parse_config(R"({"changes": {"ring_bytes": 100000, "history": 1, "maps": [
    {"module": "m"}, {"module": "m", "map": "a", "mode": "push", "interval": "0s"}, {"module": "m", "map": "a", "keys": false, "values": true},
    {"module": "m", "map": "b", "sources": ["sycall"]}]}})", "f");
  ASSERT_FALSE(config);
  std::vector<std::string> where;
  for (const Problem& problem : config.error().problems) where.push_back(problem.where);
  EXPECT_THAT(where, ::testing::UnorderedElementsAre("changes.ring_bytes", "changes.history", "changes.maps[0].map", "changes.maps[1].mode",
                                                     "changes.maps[1].interval", "changes.maps[2].keys", "changes.maps[2]", "changes.maps[3].sources[0]"));
}

TEST(Config, TokenFilesFollowTheRunDirectory) {
  const Result<Config> config = parse_config(R"({"run_dir": "/tmp/run"})", "agent.json");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->token_file, "/tmp/run/token");
  EXPECT_EQ(config->rollback_token_file, "/tmp/run/rollback-token");
}

TEST(Config, NamesEveryProblemWithItsLine) {
  const Error error = error_of(
      "{\n"
      "  \"state_dir\": 7\n"
      "  ,\"metrics\": {\"listn\": \"127.0.0.1:1\"},\n"
      "  \"limits\": {\"swap_timeout\": \"soon\",\n"
      "     \"memory_headroom\": -1,\n"
      "     \"max_concurrent_updates\": 1.5},\n"
      "  \"nonsense\": {}\n"
      "}\n");
  EXPECT_EQ(error.code, ErrorCode::kInvalid);
  EXPECT_THAT(error.problems, complaint("state_dir", "line 2: "));
  EXPECT_THAT(error.problems,
              complaint("metrics.listn", "line 3: unknown member \"listn\" in \"metrics\"; did you mean \"listen\"?"));
  EXPECT_THAT(error.problems, complaint("limits.swap_timeout", "line 4: "));
  EXPECT_THAT(error.problems, complaint("limits.memory_headroom", "line 5: "));
  EXPECT_THAT(error.problems, complaint("limits.max_concurrent_updates", "line 6: "));
  EXPECT_THAT(error.problems, complaint("nonsense", "line 7: unknown member"));
  EXPECT_THAT(error.problems, complaint("nonsense", ", module_dirs,"));
  EXPECT_THAT(error.problems, SizeIs(6));
  EXPECT_THAT(error.message, AllOf(HasSubstr("agent.json: 6 problems"), HasSubstr("line 7: ")));
}

TEST(Config, GoCaptureHasDefaultsAndBounds) {
  const Result<Config> config = parse_config(R"({"go": {"processes": []}})", "agent.json");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_TRUE(config->go.enabled);
  EXPECT_THAT(config->go.settings.processes, IsEmpty());
  EXPECT_EQ(config->go.settings.max_processes, 64u);
  const Error error = error_of(
      "{\"go\": {\"enabled\": 1,\n"
      "  \"overhead_budget\": 1.5,\n"
      "  \"max_processes\": 0,\n"
      "  \"census_interval\": \"10ms\",\n"
      "  \"processes\": [{\"path\": \"app\"},\n"
      "    {},\n"
      "    {\"cgroup\": \"\"}]}}");
  EXPECT_THAT(error.problems, complaint("go.enabled", "line 1: "));
  EXPECT_THAT(error.problems, complaint("go.overhead_budget", "line 2: "));
  EXPECT_THAT(error.problems, complaint("go.max_processes", "line 3: "));
  EXPECT_THAT(error.problems, complaint("go.census_interval", "line 4: "));
  EXPECT_THAT(error.problems, complaint("go.processes[0].path", "line 5: "));
  EXPECT_THAT(error.problems, complaint("go.processes[1].path", "name a \"path\", a \"cgroup\", or both"));
  EXPECT_THAT(error.problems, complaint("go.processes[2].cgroup", "line 7: "));
  EXPECT_THAT(error.problems, SizeIs(7));
}

TEST(Config, BrokenJsonNamesLineAndColumn) {
  EXPECT_THAT(error_of("{\n  \"go\": }\n").message, AllOf(HasSubstr("agent.json"), HasSubstr("line 2, column 9")));
  EXPECT_THAT(error_of("").message, HasSubstr("line 1"));
  EXPECT_THAT(error_of("{}{}").message, HasSubstr("line 1"));
  EXPECT_THAT(error_of("[]").message, HasSubstr("must be an object"));
  EXPECT_THAT(error_of("{\"state_dir\": \"\xff\"}").message, HasSubstr("line 1"));
}

TEST(Config, RefusesWhatIsTooMuch) {
  EXPECT_THAT(error_of("{\n\"go\": {},\n\"go\": {}\n}").message, HasSubstr("line 3: \"go\" stands twice"));
  EXPECT_THAT(error_of(R"({"state_dir": "/a\u0000b"})").message, HasSubstr("NUL"));
  EXPECT_THAT(error_of(std::string(100, '[')).message, HasSubstr("nested deeper than 64"));
  EXPECT_EQ(error_of("{}" + std::string(1 << 20, ' ')).code, ErrorCode::kTooLarge);
  std::string many = "{";
  for (int i = 0; i < 5000; ++i) many += (i == 0 ? "\"m" : ",\"m") + std::to_string(i) + "\":0";
  EXPECT_THAT(error_of(many + "}").message, HasSubstr("more than 2048 members"));
  std::string unknown = "{";
  for (int i = 0; i < 300; ++i) unknown += (i == 0 ? "\"m" : ",\"m") + std::to_string(i) + "\":0";
  EXPECT_THAT(error_of(unknown + "}").message, HasSubstr("and 200 more"));
  std::string items = "{\"module_dirs\": [0";
  for (int i = 0; i < 70'000; ++i) items += ",0";
  EXPECT_THAT(error_of(items + "]}").message, HasSubstr("more than 65536 values"));
}

TEST(Config, ListenAddresses) {
  for (const char* good : {"127.0.0.1:0", "localhost:9847", "0.0.0.0:65535"}) EXPECT_TRUE(parse_listen(good)) << good;
  for (const char* bad : {"", "9847", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "::1:80", "[::1]:80",
                          "example:80", "1.2.3:80"}) {
    EXPECT_FALSE(parse_listen(bad)) << bad;
  }
  const Result<Listen> tls = parse_listen("127.0.0.1:9848s");
  ASSERT_FALSE(tls);
  EXPECT_THAT(tls.error().message, HasSubstr("reverse proxy"));
  EXPECT_THAT(error_of(R"({"api": {"listen": "127.0.0.1:9847"}})").message, HasSubstr("cannot share port 9847"));
}

TEST(Config, SaysWhatIsNotServed) {
  const Result<Config> config = parse_config(R"({"alertmanager": {"poll": true}, "go": {"enabled": false},
    "objectives": [{"name": "o", "indicator": "verdict", "program": "p", "max": 1}, {"name": "p", "indicator": "host", "value": "cpu_share", "max": 1}]})", "agent.json");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_THAT(not_served(*config), ElementsAre(HasSubstr("objective o")));
}

TEST(Config, TheShippedExampleIsValidAndMissingFilesAreNamed) {
  const Result<Config> config = load_config(MS_SOURCE_DIR "/config/mapshift.json");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_THAT(not_served(*config), IsEmpty());
  const Result<Config> missing = load_config("/nonexistent/agent.json");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(load_config("/").error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace mapshift::config
