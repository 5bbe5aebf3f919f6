// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mapshift::observe::changes {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::array<Offer, kSources> offers(bool fexit, bool instrumented, bool syscall, bool scan) {
  const auto offer = [](bool there, const char* why) { return Offer{there, there ? "" : why}; };
  return {offer(fexit, "no F"), offer(instrumented, "no I"), offer(syscall, "no Y"), offer(scan, "no N")};
}

TEST(Choice, TheBestThatIsToBeHad) {
  EXPECT_THAT(choose(offers(true, true, true, true), {}, Mode::kEvents, {})->sources, ElementsAre(Source::kFexit));
  const auto both = choose(offers(false, true, true, true), {}, Mode::kEvents, {});
  EXPECT_THAT(both->sources, ElementsAre(Source::kInstrumented, Source::kSyscall));
  EXPECT_THAT(both->reason, HasSubstr("no F"));
  EXPECT_TRUE(both->complete);
  EXPECT_THAT(choose(offers(false, false, true, true), {}, Mode::kEvents, {})->sources, ElementsAre(Source::kScan));
  EXPECT_THAT(choose(offers(false, false, true, true), {}, Mode::kEvents, true)->sources, ElementsAre(Source::kScan));
  EXPECT_THAT(choose(offers(false, false, true, true), {}, Mode::kEvents, false)->sources, ElementsAre(Source::kSyscall));
  EXPECT_THAT(choose(offers(false, true, false, true), {}, Mode::kEvents, {})->sources, ElementsAre(Source::kScan));
}

TEST(Choice, LessThanEverythingIsSaid) {
  const auto partial = choose(offers(false, true, false, false), {}, Mode::kEvents, {});
  EXPECT_THAT(partial->sources, ElementsAre(Source::kInstrumented));
  EXPECT_FALSE(partial->complete);
  EXPECT_THAT(partial->reason, HasSubstr("no N"));
}

TEST(Choice, NothingIsRefusedWithAllReasons) {
  const auto none = choose(offers(false, false, false, false), {}, Mode::kEvents, {});
  ASSERT_FALSE(none);
  for (const char* why : {"no F", "no I", "no Y", "no N"}) EXPECT_THAT(none.error().message, HasSubstr(why));
  EXPECT_EQ(choose(offers(true, true, true, false), {}, Mode::kPull, {}).error().code, ErrorCode::kUnsupported);
}

TEST(Choice, WhatIsAskedForIsTakenAsFarAsItGoes) {
  const auto some = choose(offers(false, true, true, true), {Source::kScan, Source::kFexit, Source::kScan}, Mode::kEvents, {});
  EXPECT_THAT(some->sources, ElementsAre(Source::kScan));
  EXPECT_THAT(some->reason, HasSubstr("without fexit: no F"));
  const auto none = choose(offers(false, false, true, true), {Source::kFexit, Source::kInstrumented}, Mode::kEvents, {});
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().problems, SizeIs(2));
  EXPECT_THAT(choose(offers(true, true, true, true), {Source::kSyscall}, Mode::kPull, {})->sources, ElementsAre(Source::kScan));
}

TEST(Choice, NamesGoBothWays) {
  for (const Source source : {Source::kFexit, Source::kInstrumented, Source::kSyscall, Source::kScan}) EXPECT_EQ(source_named(to_string(source)), source);
  for (const Mode mode : {Mode::kPull, Mode::kEvents, Mode::kHybrid}) EXPECT_EQ(mode_named(to_string(mode)), mode);
  EXPECT_FALSE(source_named("auto"));
  EXPECT_FALSE(mode_named(""));
  EXPECT_EQ(to_string(Op::kDelete), "delete");
}

}  // namespace
}  // namespace mapshift::observe::changes
