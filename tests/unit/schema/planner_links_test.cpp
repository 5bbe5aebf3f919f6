// SPDX-License-Identifier: Apache-2.0
#include "update/planner_links.h"

#include <gtest/gtest.h>

#include "planner_testing.h"

namespace mapshift::update {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Swap = ProgramPlan::Swap;

// `flows` has another layout in the new generation, `peers` is the same.
Two with_hook(const AttachSpec& attach) {
  Two two;
  two.maps(map_of("flows", MapType::kHash, u32(), v1()), map_of("flows", MapType::kHash, u32(), v2()));
  two.maps(map_of("peers", MapType::kSockmap, u32(), nullptr), map_of("peers", MapType::kSockmap, u32(), nullptr));
  two.before.object.programs = two.after.object.programs = {program_of("p")};
  two.before.manifest.programs["p"].attach = two.after.manifest.programs["p"].attach = attach;
  two.env.swap_modes["p"] = Swap::kNative;
  return two;
}

const AttachSpec kVerdict{.type = "sockmap", .hook = "verdict", .map = "peers"};
const AttachSpec kControl{.type = "struct_ops", .name = "tcp_congestion_ops", .hook = "steady"};

TEST(PlanLinks, SocketsThatStayAreSaid) {
  for (const AttachSpec& attach : {kVerdict, kControl}) {
    const Plan plan = with_hook(attach).plan();
    EXPECT_THAT(messages(plan.refusals), IsEmpty()) << attach.type;
    EXPECT_THAT(codes(plan.warnings), Contains("sockets-stay")) << attach.type;
    EXPECT_THAT(messages(plan.warnings), HasSubstr("flows is carried over until the commit, and not after it"));
    EXPECT_TRUE(leaves_sockets(plan));
  }
}

TEST(PlanLinks, MapsThatAreKeptAreSaidToBe) {
  Two two = with_hook(kVerdict);
  two.after.manifest.maps["flows"].keep_old = 600;
  const Plan plan = two.plan();
  EXPECT_THAT(messages(plan.warnings), HasSubstr("flows is carried over until the commit, and after it for as long as \"keep_old\" says"));
  EXPECT_THAT(messages(plan.warnings), Not(HasSubstr("not after it")));
}

TEST(PlanLinks, AFirstLoadAndOtherHooksLeaveNoSockets) {
  Two two = with_hook(kVerdict);
  two.before = {};
  EXPECT_FALSE(leaves_sockets(two.plan()));
  EXPECT_FALSE(leaves_sockets(with_hook(xdp("eth0")).plan()));
}

TEST(PlanLinks, TheMapOfAVerdictIsReusedOrTheUpdateRefused) {
  Two two = with_hook(kVerdict);
  two.after.manifest.maps["peers"].policy = Policy::kReset;
  EXPECT_THAT(codes(two.plan().refusals), Contains("map-not-reused"));
  AttachSpec wrong = kVerdict;
  wrong.map = "flows";
  EXPECT_THAT(codes(with_hook(wrong).plan().refusals), Contains("wrong-map-type"));
  wrong.map = "peer";
  EXPECT_THAT(messages(with_hook(wrong).plan().refusals), HasSubstr("did you mean \"peers\"?"));
}

TEST(PlanLinks, IteratorsMayHaveAnotherMapAndMaySleep) {
  Two two = with_hook({.type = "iter", .name = "bpf_map_elem", .map = "flows"});
  two.before.object.programs[0].sleepable = two.after.object.programs[0].sleepable = true;
  const Plan plan = two.plan();
  EXPECT_THAT(messages(plan.refusals), IsEmpty());
  EXPECT_FALSE(leaves_sockets(plan));
}

TEST(PlanLinks, AnotherNameOfATableIsAnotherHook) {
  Two two = with_hook(kControl);
  two.after.manifest.programs["p"].attach->hook = "steadier";
  EXPECT_THAT(codes(two.plan().refusals), Contains("attach-changed"));
}

}  // namespace
}  // namespace mapshift::update
