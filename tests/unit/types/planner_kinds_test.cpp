// SPDX-License-Identifier: Apache-2.0
// What a plan says of each kind of map that is not identical.
#include <gmock/gmock.h>

#include "planner_testing.h"
#include "update/map_ability.h"

namespace mapshift::update {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

MapSpec of_maps(MapType type, MapSpec inner, uint32_t entries = 8) {
  MapSpec map = map_of("m", type, u32(), nullptr, entries);
  map.value_size = 4;
  map.inner = std::make_shared<const MapSpec>(std::move(inner));
  return map;
}

Two two_of(MapSpec before, MapSpec after) {
  Two two;
  two.maps(std::move(before), std::move(after));
  return two;
}

TEST(PlanKinds, EachTypeIsReusedWhenItIsIdenticalAndNamesItsReasonOtherwise) {
  for (const MapKind& kind : map_kinds()) {
    const std::string name = to_string(kind.type);
    const MapSpec map = map_of("m", kind.type, u32(), u32(), 8);
    MapSpec larger = map;
    larger.max_entries = 16;
    if (kind.ability != MapAbility::kRebuilt) {
      EXPECT_EQ(map_plan(two_of(map, map).plan(), "m").policy, Policy::kReuse) << name;
    }
    const Plan plan = two_of(map, larger).plan();
    const MapPlan& planned = map_plan(plan, "m");
    EXPECT_NE(planned.record.reason, "") << name;
    EXPECT_EQ(kind.ability == MapAbility::kReuseOnly, planned.policy == Policy::kRefuse) << name;
    if (planned.policy != Policy::kRefuse) {
      EXPECT_THAT(plan.refusals, IsEmpty()) << name;
      continue;
    }
    ASSERT_THAT(codes(plan.refusals), ElementsAre("map-type")) << name;
    EXPECT_THAT(messages(plan.refusals), HasSubstr(std::string(kind.otherwise))) << name;
    EXPECT_THAT(messages(plan.refusals), HasSubstr("max_entries changed from 8 to 16")) << name;
    // The manifest may give up what it holds.
    Two two = two_of(map, larger);
    two.after.manifest.maps["m"].policy = Policy::kReset;
    EXPECT_EQ(map_plan(two.plan(), "m").policy, Policy::kReset) << name;
    EXPECT_TRUE(two.plan().lossy) << name;
  }
}

TEST(PlanKinds, ATrieIsExactWhereNoProgramWritesIt) {
  Two two = two_of(map_of("m", MapType::kLpmTrie, u64(), v1()), map_of("m", MapType::kLpmTrie, u64(), v2()));
  EXPECT_TRUE(map_plan(two.plan(), "m").record.fields.at(0).exact);
  two.before.facts.gave_up = {"p: too long"};
  EXPECT_FALSE(map_plan(two.plan(), "m").record.fields.at(0).exact);
  two.before.facts = {};
  two.after.facts.maps = {{"m", "p", true, false, false, true, false}};
  EXPECT_FALSE(map_plan(two.plan(), "m").record.fields.at(0).exact);
  EXPECT_THAT(codes(two.plan().warnings), Contains("trie-written"));
}

TEST(PlanKinds, AQueueIsDrainedAndOnlyItsRollbackLoses) {
  for (const MapType type : {MapType::kQueue, MapType::kStack}) {
    const Plan plan = two_of(map_of("m", type, nullptr, v1(), 8), map_of("m", type, nullptr, v2(), 8)).plan();
    EXPECT_THAT(plan.refusals, IsEmpty());
    EXPECT_TRUE(map_plan(plan, "m").record.lossy);
    EXPECT_FALSE(plan.lossy);
    EXPECT_THAT(codes(plan.warnings), Contains("drained"));
    EXPECT_FALSE(map_plan(plan, "m").sync->fields.empty());
    const Plan grown = two_of(map_of("m", type, nullptr, v1(), 8), map_of("m", type, nullptr, v1(), 16)).plan();
    EXPECT_TRUE(map_plan(grown, "m").sync->fields.empty()) << "moved as bytes";
    EXPECT_THAT(codes(two_of(map_of("m", type, nullptr, v1(), 8), map_of("m", type, nullptr, v1(), 4)).plan().refusals), Contains("shrink"));
  }
}

TEST(PlanKinds, RingsAreMadeAnewAndTheirConsumerIsTold) {
  Two two = two_of(map_of("m", MapType::kRingbuf, nullptr, nullptr, 4096), map_of("m", MapType::kRingbuf, nullptr, nullptr, 8192));
  EXPECT_EQ(map_plan(two.plan(), "m").policy, Policy::kReset);
  EXPECT_FALSE(two.plan().lossy);
  EXPECT_THAT(codes(two.plan().warnings), ElementsAre("consumer"));
  two.after.manifest.ringbufs["m"] = {};
  EXPECT_THAT(two.plan().warnings, IsEmpty()) << "the agent reads it";
  EXPECT_THAT(map_plan(two.plan(), "m").record.reason, HasSubstr("the agent reads what is left"));
  const Plan perf = two_of(map_of("m", MapType::kPerfEventArray, u32(), u32(), 4), map_of("m", MapType::kPerfEventArray, u32(), u32(), 8)).plan();
  EXPECT_TRUE(perf.lossy) << "nobody can put events into it but the process that reads them";
}

TEST(PlanKinds, MapsInsideFollowTheRuleOfTheirOwnType) {
  for (const MapType outer : {MapType::kArrayOfMaps, MapType::kHashOfMaps}) {
    const MapSpec old_inner = map_of("i", MapType::kHash, u32(), v1()), new_inner = map_of("i", MapType::kHash, u32(), v2());
    const Plan same = two_of(of_maps(outer, old_inner), of_maps(outer, old_inner)).plan();
    EXPECT_EQ(map_plan(same, "m").policy, Policy::kReuse);
    const Plan grown = two_of(of_maps(outer, old_inner), of_maps(outer, old_inner, 16)).plan();
    EXPECT_THAT(grown.refusals, IsEmpty());
    EXPECT_FALSE(map_plan(grown, "m").sync->inner) << "the same maps are put into the new one";
    const Plan changed = two_of(of_maps(outer, old_inner), of_maps(outer, new_inner)).plan();
    EXPECT_THAT(changed.refusals, IsEmpty());
    ASSERT_TRUE(map_plan(changed, "m").sync->inner);
    EXPECT_EQ(map_plan(changed, "m").sync->inner->fields.size(), 2u);
    EXPECT_THAT(map_plan(changed, "m").record.reason, HasSubstr("widened u32 to u64"));
    EXPECT_TRUE(map_plan(changed, "m").sync->inner->by_calls);
    Two written = two_of(of_maps(outer, old_inner), of_maps(outer, new_inner));
    written.after.facts.maps = {{"m[]", "p", true, false, false, true, false}};
    EXPECT_FALSE(map_plan(written.plan(), "m").sync->inner->by_calls);
    EXPECT_EQ(map_plan(changed, "m").record.fields.size(), 2u);
    const Plan other = two_of(of_maps(outer, old_inner), of_maps(outer, map_of("i", MapType::kArray, u32(), v1()))).plan();
    EXPECT_THAT(codes(other.refusals), Contains("inner-type"));
    EXPECT_FALSE(map_plan(other, "m").sync);
    const Plan queue = two_of(of_maps(outer, map_of("i", MapType::kRingbuf, nullptr, nullptr, 4096)),
                              of_maps(outer, map_of("i", MapType::kRingbuf, nullptr, nullptr, 8192))).plan();
    EXPECT_THAT(codes(queue.refusals), Contains("inner-type"));
    Two refused = two_of(of_maps(outer, old_inner), of_maps(outer, new_inner));
    refused.after.manifest.maps["m"].policy = Policy::kReuse;
    EXPECT_THAT(codes(refused.plan().refusals), ElementsAre("not-identical"));
  }
}

}  // namespace
}  // namespace mapshift::update
