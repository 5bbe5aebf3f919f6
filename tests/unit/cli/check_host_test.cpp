// SPDX-License-Identifier: Apache-2.0
#include "cli/check_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/options.h"

namespace mapshift::cli {
namespace {

using ::testing::HasSubstr;

const HostFacts kFacts{"6.1.0", {{"xdp", true, ""}, {"tcx", false, "needs Linux 6.6"}}, {{"hash", true, ""}}, {{"scan", true, "at an interval"}},
                       {{"sleepable", false, "nothing waits"}}};

TEST(CheckHost, TableSaysWhyNot) {
  const std::string text = render_host(kFacts);
  EXPECT_THAT(text, HasSubstr("Linux 6.1.0"));
  EXPECT_THAT(text, HasSubstr("xdp          yes"));
  EXPECT_THAT(text, HasSubstr("tcx          no      needs Linux 6.6"));
  for (const char* title : {"ATTACH TYPE", "MAP TYPE", "CHANGE SOURCE", "GRACE PERIOD OF"}) EXPECT_THAT(text, HasSubstr(title));
}

TEST(CheckHost, DocumentHasItAll) {
  const Json document = host_json(kFacts);
  EXPECT_EQ(document["kernel"], "6.1.0");
  EXPECT_EQ(document["attach_types"][1], (Json{{"name", "tcx"}, {"served", false}, {"reason", "needs Linux 6.6"}}));
  EXPECT_EQ(document["map_types"].size(), 1u);
  EXPECT_EQ(document["change_sources"][0]["served"], true);
  EXPECT_EQ(document["grace_periods"][0]["name"], "sleepable");
}

TEST(CheckHost, NeedsNoArgument) {
  const char* const line[] = {"mapshift", "check", "host"};
  const Parsed parsed = parse_options(3, line);
  ASSERT_TRUE(parsed.options);
  EXPECT_EQ(parsed.options->command, Command::kCheckHost);
}

}  // namespace
}  // namespace mapshift::cli
