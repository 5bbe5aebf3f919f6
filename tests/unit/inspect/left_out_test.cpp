// SPDX-License-Identifier: Apache-2.0
#include "update/left_out.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "update/load_request.h"
#include "update/names.h"

namespace mapshift::update {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The same event by two ways, of which the author leaves one out.
ObjectSpec two_ways() {
  ObjectSpec object;
  object.programs.resize(3);
  object.programs[0].name = "by_type", object.programs[0].section = "tp_btf/sched_switch", object.programs[0].type = 26;
  object.programs[1].name = "raw", object.programs[1].section = "raw_tp/sched_switch", object.programs[1].type = 17;
  object.programs[2].name = "spare", object.programs[2].section = "tp/sched/sched_switch", object.programs[2].type = 5;
  object.programs[2].on_demand = true;
  return object;
}

std::vector<std::string> names(const ObjectSpec& object) {
  std::vector<std::string> out;
  for (const auto& program : object.programs) out.push_back(program.name);
  return out;
}

TEST(LeftOut, WhatTheManifestOrTheSectionSays) {
  Manifest manifest;
  manifest.programs["raw"].load = false;
  ObjectSpec object = two_ways();
  EXPECT_THAT(leave_out(manifest, object), IsEmpty());
  EXPECT_THAT(names(object), ElementsAre("by_type"));
  const auto request = load_request(manifest, object, "", Paths("/b", "m"), 1, "");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->load, (std::map<std::string, bool>{{"by_type", true}, {"raw", false}, {"spare", false}}));
  EXPECT_THAT(request->hooks, SizeIs(1));
}

TEST(LeftOut, WhoeverAsksForASpareOneGetsIt) {
  Manifest manifest;
  manifest.programs["spare"] = {};
  ObjectSpec object = two_ways();
  EXPECT_THAT(leave_out(manifest, object), IsEmpty());
  EXPECT_THAT(names(object), ElementsAre("by_type", "raw", "spare"));
  Manifest called;
  called.prog_arrays["jumps"][0] = "spare";
  EXPECT_THAT(leave_out(called, object), IsEmpty());
  EXPECT_THAT(names(object), SizeIs(3));
}

TEST(LeftOut, NamesThatCannotBe) {
  Manifest manifest;
  manifest.programs["row"].load = false;
  manifest.programs["raw"].load = false;
  manifest.prog_arrays["jumps"][2] = "raw";
  ObjectSpec object = two_ways();
  const auto problems = leave_out(manifest, object);
  ASSERT_THAT(problems, SizeIs(2));
  EXPECT_THAT(problems[0].message, HasSubstr("prog_arrays.jumps.2"));
  EXPECT_THAT(problems[1].message, HasSubstr("did you mean \"raw\""));
  EXPECT_THAT(names(object), ElementsAre("by_type", "raw"));
}

TEST(LeftOut, OptionalOnesMayBe) {
  Manifest manifest;
  manifest.programs["raw"].load = false;
  manifest.optional_programs = {"raw", "row"};
  ObjectSpec object = two_ways();
  EXPECT_THAT(leave_out(manifest, object), IsEmpty());
  const auto problems = check_names(manifest, object);
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_THAT(problems[0].message, HasSubstr("\"row\""));
}

TEST(LeftOut, FunctionsComeWithTheirTable) {
  ObjectSpec object = two_ways();
  object.programs[1].table.emplace().programs = {"by_type"};
  object.programs[1].name = "control";
  object.programs[0].on_demand = true;
  Manifest manifest;
  EXPECT_THAT(leave_out(manifest, object), IsEmpty());
  EXPECT_THAT(names(object), ElementsAre("by_type", "control"));
  manifest.programs = {{"by_type", {.load = false}}};
  const auto problems = leave_out(manifest, object);
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_THAT(problems[0].message, HasSubstr("a function of the table control"));
  EXPECT_THAT(names(object), ElementsAre("by_type", "control"));
}

TEST(LeftOut, ASectionThatNobodyKnowsIsNamed) {
  ObjectSpec object = two_ways();
  object.programs[1].section = "socket1", object.programs[1].type = 0;
  const auto found = attachments({}, object);
  ASSERT_FALSE(found);
  ASSERT_THAT(found.error().problems, SizeIs(1));
  EXPECT_EQ(found.error().problems.front().code, "unknown-section");
  EXPECT_THAT(found.error().problems.front().message, HasSubstr("socket1"));
}

}  // namespace
}  // namespace mapshift::update
