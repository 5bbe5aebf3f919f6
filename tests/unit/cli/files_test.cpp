// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/completion.h"
#include "cli/exit_status.h"
#include "scripted_agent.h"

namespace mapshift::cli {
namespace {

using ::testing::HasSubstr;

class FilesTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(dir_); }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(dir_ / name, std::ios::binary) << text;
    return (dir_ / name).string();
  }
  std::filesystem::path dir_ = std::filesystem::temp_directory_path() / ("mapshift-files-" + std::to_string(::getpid()));
  ScriptedAgent agent_;
};

TEST_F(FilesTest, CheckConfig) {
  const std::string good = write("good.json", R"({"objectives": [{"name": "o", "indicator": "verdict", "program": "p", "max": 1}]})");
  Outcome outcome = run_line(agent_, {"check", "config", good.c_str(), "--output", "json"});
  EXPECT_EQ(outcome.status, kDone);
  EXPECT_EQ(Json::parse(outcome.out)["warnings"].size(), 1U);
  EXPECT_THAT(outcome.err, HasSubstr("objectives"));
  const std::string bad = write("bad.json", "{\n\"goo\": 1}");
  outcome = run_line(agent_, {"check", "config", bad.c_str(), "--output", "json"});
  EXPECT_EQ(outcome.status, kFailed);
  EXPECT_THAT(Json::parse(outcome.out)["errors"][0]["message"].get<std::string>(), HasSubstr("line 2: unknown member \"goo\""));
  EXPECT_EQ(run_line(agent_, {"check", "config", "/nonexistent"}).status, kFailed);
  EXPECT_TRUE(agent_.asked.empty());
}

TEST_F(FilesTest, CheckModule) {
  const std::string manifest = write("m.json", R"({"name": "m", "version": "1", "object": "m.bpf.o"})");
  const auto check = [&] { return run_line(agent_, {"check", "module", manifest.c_str()}); };
  EXPECT_THAT(check().err, HasSubstr("m.bpf.o"));
  EXPECT_EQ(check().status, kFailed);
  write("m.bpf.o", "hello");
  EXPECT_THAT(check().err, HasSubstr("not an ELF object file"));
}

TEST_F(FilesTest, CheckModuleReadsTheObjectAgainstItsManifest) {
  const char* manifest = MS_BINARY_DIR "/modules/flowmeter/flowmeter_v1.json";
  const Outcome outcome = run_line(agent_, {"check", "module", manifest, "--set", "IFACE=lo"});
  EXPECT_EQ(outcome.status, kDone) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("valid (flowmeter 1.0.0)"));

  const std::string misnamed = write("n.json", R"({"name": "n", "version": "1", "maps": {"flow": {}}, "programs": {
      "count_packets": {"attach": {"type": "xdp", "interface": "lo"}},
      "count_egress": {"attach": {"type": "tcx", "interface": "lo", "direction": "egress"}}},
      "object": ")" MS_BINARY_DIR R"(/modules/flowmeter/flowmeter_v1.bpf.o"})");
  const Outcome refused = run_line(agent_, {"check", "module", misnamed.c_str()});
  EXPECT_EQ(refused.status, kFailed);
  EXPECT_THAT(refused.err, HasSubstr("flows"));  // the nearest name that exists
}

TEST_F(FilesTest, TheShippedCompletionIsTheOneThatIsPrinted) {
  std::ifstream file(MS_SOURCE_DIR "/config/completion/mapshift.bash");
  const std::string shipped{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(run_line(agent_, {"completion", "bash"}).out, shipped);
}

}  // namespace
}  // namespace mapshift::cli
