// SPDX-License-Identifier: Apache-2.0
#include "cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/exit_status.h"

namespace mapshift::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

Parsed parse(std::vector<const char*> words) {
  words.insert(words.begin(), "mapshift");
  return parse_options(static_cast<int>(words.size()), words.data());
}

TEST(Options, AnUpdateWithEverything) {
  const Parsed parsed = parse({"--run-dir", "/tmp/r", "update", "--set", "A=1", "m.json", "--set", "B=x=y", "--bake", "5s",
                               "--wait", "--if-generation", "7", "--allow-lossy", "--output", "json"});
  ASSERT_TRUE(parsed.options) << parsed.err;
  EXPECT_EQ(parsed.options->command, Command::kUpdate);
  EXPECT_EQ(parsed.options->target, "m.json");
  EXPECT_EQ(parsed.options->run_dir, "/tmp/r");
  EXPECT_THAT(parsed.options->set, ElementsAre(Pair("A", "1"), Pair("B", "x=y")));
  EXPECT_EQ(parsed.options->if_generation, 7U);
  EXPECT_TRUE(parsed.options->wait && parsed.options->allow_lossy && parsed.options->json);
}

TEST(Options, EveryCommandIsKnown) {
  const std::vector<std::pair<std::vector<const char*>, Command>> lines = {
      {{"load", "m"}, Command::kLoad},         {{"plan", "m"}, Command::kPlan},
      {{"rollback", "m"}, Command::kRollback}, {{"commit", "m"}, Command::kCommit},
      {{"abort", "m"}, Command::kAbort},       {{"unload", "m"}, Command::kUnload},
      {{"status"}, Command::kStatus},          {{"history"}, Command::kHistory},
      {{"explain", "u"}, Command::kExplain},   {{"go"}, Command::kGo}, {{"go", "42"}, Command::kGo}, {{"check", "config", "f"}, Command::kCheckConfig},
      {{"check", "module", "f"}, Command::kCheckModule}, {{"completion", "bash"}, Command::kCompletion},
      {{"adopt", "--link", "17", "m"}, Command::kAdopt}, {{"adopt", "m", "--link", "17,18"}, Command::kAdopt}};
  for (const auto& [words, command] : lines) {
    const Parsed parsed = parse(words);
    ASSERT_TRUE(parsed.options) << words[0] << parsed.err;
    EXPECT_EQ(parsed.options->command, command) << words[0];
  }
}

TEST(Options, MisuseIsStatusTwo) {
  for (const std::vector<const char*>& words :
       std::vector<std::vector<const char*>>{{},
                                             {"frobnicate"},
                                             {"changes", "m"},
                                             {"go", "app"},
                                             {"adopt", "m"},
                                             {"adopt", "m", "--link", "17", "--set", "A=1"},
                                             {"go", "-1"},
                                             {"go", "1", "2"},
                                             {"update"},
                                             {"load", "m", "extra"},
                                             {"load", "m", "--set", "nothing"},
                                             {"load", "m", "--set", "1A=x"},
                                             {"load", "m", "--set", "A=1", "--set", "A=2"},
                                             {"update", "m", "--bake", "soon"},
                                             {"update", "m", "--if-generation", "-1"},
                                             {"--output", "xml", "status"},
                                             {"status", "--wat"},
                                             {"check"},
                                             {"check", "moon", "f"},
                                             {"completion", "fish"}}) {
    const Parsed parsed = parse(words);
    EXPECT_FALSE(parsed.options) << (words.empty() ? "" : words[0]);
    EXPECT_EQ(parsed.status, kUsage);
    EXPECT_FALSE(parsed.err.empty());
    EXPECT_TRUE(parsed.out.empty());
  }
  EXPECT_THAT(parse({"frobnicate"}).err, HasSubstr("unknown command or option \"frobnicate\""));
}

TEST(Options, HelpIsAskedForAndGoesToStdout) {
  const Parsed help = parse({"--help"});
  EXPECT_EQ(help.status, kDone);
  EXPECT_THAT(help.out, HasSubstr("Examples:"));
  EXPECT_THAT(parse({"update", "--help"}).out, HasSubstr("--allow-lossy"));
  EXPECT_THAT(parse({"--version"}).out, HasSubstr("mapshift "));
}

}  // namespace
}  // namespace mapshift::cli
