// SPDX-License-Identifier: Apache-2.0
// Plans of maps that a function builds of two old ones.
#include <gtest/gtest.h>

#include "planner_testing.h"

namespace mapshift::update {
namespace {
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// `sessions` of `conn` and `names`, which the new generation has no more.
struct TwoOld : Two {
  TwoOld() {
    maps(map_of("conn", MapType::kHash, u32(), structure("conn", {{"packets", u64()}})),
         map_of("sessions", MapType::kHash, u32(), structure("session", {{"packets", u64(), {"mapshift:merge=sum"}}, {"name", u32()}})));
    before.object.maps.push_back(map_of("names", MapType::kHash, u32(), structure("name", {{"id", u32()}})));
    after.object.path = "/tmp/new.o";
    for (const char* function : {"session_up", "session_down", "names_down", "name_of"}) after.object.subprograms[function].name = function;
    rule().from = "conn";
    rule().transform_up = "session_up";
    rule().transform_down = "session_down";
    rule().transform_with = "names";
  }
  MapRule& rule() { return after.manifest.maps["sessions"]; }
  MapSpec& names() { return before.object.maps[1]; }
  [[nodiscard]] const MapPlan sessions() const { return map_plan(plan(), "sessions"); }
};

TEST(PlanSecond, ReachesTheEngineAndIsSaid) {
  TwoOld two;
  const Plan plan = two.plan();
  EXPECT_THAT(messages(plan.refusals), IsEmpty());
  const MapPlan& map = map_plan(plan, "sessions");
  ASSERT_TRUE(map.sync && map.sync->transform && map.sync->transform->second);
  const SyncSecond& second = *map.sync->transform->second;
  EXPECT_EQ(second.map, "names");
  EXPECT_EQ(second.key, "");
  EXPECT_EQ(second.type, MapType::kHash);
  EXPECT_EQ(second.key_size, 4U);
  EXPECT_EQ(second.value_size, 4U);
  EXPECT_EQ(second.lock, -1);
  EXPECT_THAT(map.record.notes, Contains("each value is built of conn and of what names has under the same key"));
  EXPECT_THAT(map.record.notes, Contains(HasSubstr("names is only read")));
  EXPECT_THAT(messages(plan.warnings), HasSubstr("names is not in the new generation: its state is built into sessions, what is not is gone after the commit"));
  EXPECT_TRUE(plan.lossy) << "what came from names has no way back";
  EXPECT_THAT(messages(plan.warnings), HasSubstr("what the new generation changes of that which came from names has no way back there"));
}

TEST(PlanSecond, HasAWayBackOfItsOwn) {
  TwoOld two;
  two.rule().transform_with_down = "names_down";
  const Plan plan = two.plan();
  EXPECT_THAT(messages(plan.refusals), IsEmpty());
  EXPECT_FALSE(plan.lossy);
  EXPECT_EQ(map_plan(plan, "sessions").sync->transform->second->down, "names_down");
  EXPECT_THAT(map_plan(plan, "sessions").record.notes, Contains("what is written to the new map goes back to names by names_down(), and a deletion, too"));
  two.rule().transform_with_down = "names_dawn";
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("maps.sessions.transform.with_down: there is no function \"names_dawn\""));
  two.rule().transform_with_down = "session_down";
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("session_down makes values of names and cannot make others as well"));
  two.rule().transform_with_down = "names_down";
  two.rule().transform_with_key = "name_of";
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("names_down() cannot say what goes back to it"));
}

TEST(PlanSecond, AFunctionComputesOtherKeys) {
  TwoOld two;
  two.names() = map_of("names", MapType::kLruHash, u64(), structure("name", {{"lock", structure("bpf_spin_lock", {{"val", u32()}})}, {"id", u32()}}));
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("maps.sessions.transform.with: the keys of conn and names differ"));
  two.rule().transform_with_key = "name_of";
  EXPECT_THAT(messages(two.plan().refusals), IsEmpty());
  const MapPlan map = two.sessions();
  EXPECT_EQ(map.sync->transform->second->key, "name_of");
  EXPECT_EQ(map.sync->transform->second->key_size, 8U);
  EXPECT_EQ(map.sync->transform->second->lock, 0);
  EXPECT_THAT(map.record.notes, Contains(HasSubstr("under the key that name_of() computes")));
  EXPECT_THAT(map.record.notes, Contains(HasSubstr("what it evicts counts as deleted")));
  two.rule().transform_with_key = "name_off";
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("maps.sessions.transform.with_key: there is no function \"name_off\""));
  two.rule().transform_with_key = "session_up";
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("session_up computes a key and cannot convert values as well"));
}

TEST(PlanSecond, MayGoOnWhereUserSpaceAloneWritesIt) {
  TwoOld two;
  two.after.object.maps.push_back(two.names());
  EXPECT_THAT(messages(two.plan().refusals), IsEmpty());
  EXPECT_FALSE(two.plan().lossy) << "its own values are kept by itself";
  EXPECT_THAT(two.sessions().record.notes, Contains(HasSubstr("names goes on in names: what user space writes there reaches this map until the commit")));
  two.after.facts.maps = {{"names", "learn", true, true, false, false, false}};
  EXPECT_THAT(codes(two.plan().refusals), ElementsAre("transform"));
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("learn writes names, which goes on in the new generation"));
  two.after.manifest.maps["names"].policy = Policy::kReset;
  EXPECT_THAT(messages(two.plan().refusals), IsEmpty());
  EXPECT_TRUE(two.plan().lossy);
}

TEST(PlanSecond, WhatCannotBeOneIsNamed) {
  TwoOld two;
  const auto refused = [&two] { return messages(two.plan().refusals); };
  two.rule().transform_with = "name";
  EXPECT_THAT(refused(), HasSubstr("maps.sessions.transform.with: there is no map \"name\" in the old generation: did you mean \"names\"?"));
  two.rule().transform_with = "conn";
  EXPECT_THAT(refused(), HasSubstr("conn is the map that is converted"));
  two.rule().transform_with = "names";
  two.rule().keep_old = 60;
  EXPECT_THAT(refused(), HasSubstr("remove \"keep_old\""));
  two.rule().keep_old.reset();
  two.names().type = MapType::kPercpuHash;
  EXPECT_THAT(refused(), HasSubstr("names (percpu_hash) cannot be looked at by a conversion"));
  two.names().type = MapType::kHash;
  two.names().flags = 1U << 8;
  EXPECT_THAT(refused(), HasSubstr("that programs may read can"));
  two.names().flags = 1U << 7;
  EXPECT_THAT(refused(), IsEmpty());
  two.rule().transform_with_down = "names_down";
  EXPECT_THAT(refused(), HasSubstr("no program may write names"));
  two.rule().transform_with_down.clear();
  two.names() = map_of("names", MapType::kHash, u32(), structure("old", {{"t", structure("bpf_timer", {{"o", u64()}})}}));
  EXPECT_THAT(refused(), HasSubstr("(struct bpf_timer) belongs to the kernel and cannot be looked at"));
}

TEST(PlanSecond, OfInstances) {
  TwoOld two;
  for (GenerationInput* side : {&two.before, &two.after}) side->manifest.instances = {{{"name", "a"}}, {{"name", "b"}}};
  two.before.manifest.maps["conn"].per_instance = true;
  two.rule().per_instance = true;
  EXPECT_EQ(map_plan(two.plan(), "sessions@a").sync->transform->second->map, "names");
  two.before.manifest.maps["names"].per_instance = true;
  EXPECT_EQ(map_plan(two.plan(), "sessions@a").sync->transform->second->map, "names@a");
  EXPECT_EQ(map_plan(two.plan(), "sessions@b").sync->transform->second->map, "names@b");
  two.before.manifest.maps["conn"].per_instance = two.rule().per_instance = false;
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("each has its own names"));
}

}  // namespace
}  // namespace mapshift::update
