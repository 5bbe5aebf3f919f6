// SPDX-License-Identifier: Apache-2.0
// Plans of maps that change their type, their key or their meaning, and what each is taken for.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "planner_testing.h"

namespace mapshift::update {
namespace {
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TypeRef sums() { return structure("flow", {{"packets", u64(), {"mapshift:merge=sum"}}}); }

TEST(PlanTypes, AHashMayBeginToEvictAndCease) {
  for (const auto& [from, to] : {std::pair{MapType::kHash, MapType::kLruHash}, {MapType::kLruHash, MapType::kHash}}) {
    Two two;
    two.maps(map_of("m", from, u32(), v1()), map_of("m", to, u32(), v1()));
    const Plan plan = two.plan();
    EXPECT_THAT(plan.refusals, IsEmpty());
    ASSERT_TRUE(map_plan(plan, "m").sync);
    EXPECT_EQ(map_plan(plan, "m").sync->type0, from);
    EXPECT_EQ(map_plan(plan, "m").sync->type1, to);
    EXPECT_THAT(map_plan(plan, "m").record.reason, HasSubstr("becomes"));
    EXPECT_THAT(map_plan(plan, "m").record.notes, Contains(HasSubstr("the type changed from")));
  }
}

TEST(PlanTypes, ValuesOfCpusBecomeOneWhereTheyAddUp) {
  Two two;
  two.maps(map_of("a", MapType::kPercpuArray, u32(), sums()), map_of("a", MapType::kArray, u32(), sums()));
  two.maps(map_of("h", MapType::kPercpuHash, u32(), v1()), map_of("h", MapType::kHash, u32(), v1()));
  two.maps(map_of("s", MapType::kHash, u32(), sums()), map_of("s", MapType::kPercpuHash, u32(), sums()));
  const Plan plan = two.plan();
  EXPECT_TRUE(map_plan(plan, "a").sync);
  EXPECT_FALSE(map_plan(plan, "h").sync);
  EXPECT_THAT(codes(plan.refusals), ElementsAre("per-cpu", "type-changed"));
  EXPECT_THAT(messages(plan.refusals), HasSubstr("which CPU's value"));
}

TEST(PlanKeys, AConvertedKeyReachesTheEngine) {
  Two two;
  const auto k1 = structure("k", {{"ip", u32()}, {"port", u16()}}), k2 = structure("k", {{"ip", u32()}, {"port", u32()}});
  two.maps(map_of("m", MapType::kHash, k1, v1()), map_of("m", MapType::kHash, k2, v1()));
  two.before.object.maps[0].key_size = 8;
  const Plan plan = two.plan();
  EXPECT_THAT(messages(plan.refusals), IsEmpty());
  const MapPlan& map = map_plan(plan, "m");
  ASSERT_TRUE(map.sync);
  EXPECT_EQ(map.sync->key_size, 8U);
  EXPECT_EQ(map.sync->key_size1, 8U);
  EXPECT_EQ(map.sync->key_fields.size(), 2U);
  EXPECT_EQ(map.record.reason, "key layout differs");
  EXPECT_THAT(map.record.notes, Contains("key: port: widened u16 to u32"));
  EXPECT_THAT(codes(plan.warnings), ElementsAre("key-widened"));
  EXPECT_FALSE(plan.lossy);
}

TEST(PlanKeys, ThatMeetAreRefusedAndThatStayBehindAreLost) {
  Two two;
  const auto pair = structure("k", {{"ip", u32()}, {"port", u32()}}), one = structure("k", {{"ip", u32()}});
  two.maps(map_of("m", MapType::kHash, pair, sums()), map_of("m", MapType::kHash, one, sums()));
  two.maps(map_of("o", MapType::kHash, one, sums()), map_of("o", MapType::kHash, pair, sums()));
  const Plan plan = two.plan();
  EXPECT_FALSE(map_plan(plan, "m").sync);
  EXPECT_THAT(codes(plan.refusals), ElementsAre("key-changed"));
  EXPECT_THAT(messages(plan.refusals), HasSubstr("port is dropped, so that two old keys could become one"));
  EXPECT_TRUE(map_plan(plan, "o").record.lossy) << "a rollback has no place for its new keys";
}

TEST(PlanEngine, WhatItDoesNotServeIsRefusedBeforeAnythingIsLoaded) {
  Two two;
  two.maps(map_of("m", MapType::kHash, u32(), v1()), map_of("m", MapType::kHash, u32(), v2()));
  two.env.engine = [](const SyncSpec& spec) -> Status { return fail(ErrorCode::kUnsupported, "values of " + std::to_string(spec.value_size1)); };
  const Plan plan = two.plan();
  EXPECT_THAT(messages(plan.refusals), HasSubstr("maps.m: values of 16"));
  EXPECT_EQ(map_plan(plan, "m").policy, Policy::kRefuse);
  EXPECT_FALSE(map_plan(plan, "m").sync);
}

TEST(PlanEngine, IsAskedAboutInnerMapsToo) {
  Two two;
  MapSpec before = map_of("routes", MapType::kHashOfMaps, u64(), u32()), after = before;
  before.inner = std::make_shared<const MapSpec>(map_of("inner", MapType::kHash, u64(), v1()));
  after.inner = std::make_shared<const MapSpec>(map_of("inner", MapType::kHash, u64(), v2()));
  two.maps(before, after);
  two.env.engine = [](const SyncSpec& spec) -> Status {
    return spec.inner ? fail(ErrorCode::kUnsupported, "not inside") : Status{};
  };
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("not inside"));
}

struct Converted : Two {
  Converted() {
    maps(map_of("m", MapType::kHash, u32(), structure("old", {{"ms", u64()}, {"pad", u32()}})),
         map_of("m", MapType::kHash, u32(), structure("flow", {{"ns", u64(), {"mapshift:merge=sum"}}, {"hits", u64()}, {"w", u32(), {"mapshift:from=hits"}}})));
    after.object.path = "/tmp/new.o";
    after.object.subprograms["flow_up"].name = "flow_up";
    after.object.subprograms["flow_down"].name = "flow_down";
    rule().transform_up = "flow_up";
    rule().transform_down = "flow_down";
  }
  MapRule& rule() { return after.manifest.maps["m"]; }
};

TEST(PlanTransforms, PairTheNewLayoutWithItself) {
  Converted two;
  const Plan plan = two.plan();
  EXPECT_THAT(messages(plan.refusals), IsEmpty());
  const MapPlan& map = map_plan(plan, "m");
  ASSERT_TRUE(map.sync && map.sync->transform);
  EXPECT_EQ(map.sync->transform->object_path, "/tmp/new.o");
  EXPECT_EQ(map.sync->transform->up, "flow_up");
  EXPECT_EQ(map.sync->transform->down, "flow_down");
  EXPECT_EQ(map.sync->value_size0, 16U);
  EXPECT_EQ(map.sync->value_size1, 24U);
  ASSERT_EQ(map.sync->fields.size(), 3U);
  for (const SyncField& op : map.sync->fields) EXPECT_EQ(op.offset0, op.offset1);
  EXPECT_EQ(map.record.fields[0].change, "converted by flow_up");
  EXPECT_EQ(map.record.fields[0].merge, "sum");
  EXPECT_THAT(map.record.notes, Contains("values are converted by flow_up(), and back by flow_down()"));
  EXPECT_FALSE(plan.lossy);
}

TEST(PlanTransforms, WithoutAWayBackARollbackLoses) {
  Converted two;
  two.rule().transform_down.clear();
  const Plan plan = two.plan();
  EXPECT_TRUE(plan.lossy);
  EXPECT_THAT(messages(plan.warnings), HasSubstr("rollback: loses new writes"));
  ASSERT_TRUE(map_plan(plan, "m").sync);
  EXPECT_THAT(map_plan(plan, "m").sync->transform->down, IsEmpty());
}

TEST(PlanTransforms, ServeAMeaningThatChangedAndAreDoneOnce) {
  Converted two;
  two.before.object.maps[0] = two.after.object.maps[0] = map_of("m", MapType::kHash, u32(), sums());
  two.rule().epoch = 2;
  const Plan plan = two.plan();
  EXPECT_THAT(messages(plan.refusals), IsEmpty());
  EXPECT_TRUE(map_plan(plan, "m").sync->transform);
  EXPECT_EQ(map_plan(plan, "m").record.reason, "its meaning changes");
  EXPECT_THAT(map_plan(plan, "m").record.notes, Contains("epoch 0 becomes 2"));
  EXPECT_THAT(codes(plan.warnings), Not(Contains("same-layout")));
  two.before.manifest.maps["m"] = two.rule();
  EXPECT_EQ(map_plan(two.plan(), "m").policy, Policy::kReuse) << "the running values have the new form";
  two.before.manifest.maps["m"].transform_up = "flow_other";
  const Plan again = two.plan();
  EXPECT_EQ(map_plan(again, "m").policy, Policy::kSync);
  EXPECT_THAT(codes(again.warnings), Contains("same-layout")) << "converted values may be converted once more";
}

TEST(PlanTransforms, FindDefaultsWhereTheyWriteNothing) {
  Converted two;
  two.rule().fields["w"].default_value = 3;
  ASSERT_TRUE(map_plan(two.plan(), "m").sync);
  ASSERT_EQ(map_plan(two.plan(), "m").sync->defaults1.size(), 1U);
  EXPECT_EQ(map_plan(two.plan(), "m").sync->defaults1[0].offset, 16);
  two.before.object.maps[0].type = two.after.object.maps[0].type = MapType::kArray;
  EXPECT_THAT(map_plan(two.plan(), "m").sync->defaults1, IsEmpty());
  EXPECT_THAT(codes(two.plan().warnings), Contains("unused-default"));
}

TEST(PlanTransforms, NameFunctionsOfTheObject) {
  Converted two;
  two.rule().transform_up = "flow_uq";
  const Plan plan = two.plan();
  EXPECT_THAT(codes(plan.refusals), ElementsAre("unknown-name"));
  EXPECT_THAT(messages(plan.refusals), HasSubstr("maps.m.transform.up: there is no function \"flow_uq\" in the object: did you mean \"flow_up\"?"));
  two.rule().transform_up = "flow_up";
  two.before.object.maps[0].value = structure("old", {{"t", structure("bpf_timer", {{"o", array(u64(), 2)}})}});
  EXPECT_THAT(codes(two.plan().refusals), ElementsAre("special-field"));
}

// They run in the agent's own thread, on every value in every pass.
TEST(PlanTransforms, CallNothingButWhatOnlyComputes) {
  const auto refused = [](int32_t imm, uint8_t src) {
    Converted two;
    const auto call = [](uint8_t kind, int32_t what) { return Insn{.code = BPF_JMP | BPF_CALL, .src = kind, .imm = what}; };
    two.after.object.subprograms["flow_up"] = {"flow_up", {call(BPF_PSEUDO_CALL, 0)}, {{0, Reloc::Kind::kCall, "below", 0}}};
    two.after.object.subprograms["below"] = {"below", {call(BPF_PSEUDO_CALL, 0), call(src, imm)}, {{0, Reloc::Kind::kCall, "flow_up", 0}}};
    two.after.object.subprograms["flow_down"] = {"flow_down", {call(0, BPF_FUNC_csum_diff)}, {}};
    return messages(two.plan().refusals);
  };
  EXPECT_THAT(refused(BPF_FUNC_snprintf, 0), IsEmpty());
  for (const int32_t helper : {BPF_FUNC_send_signal, BPF_FUNC_loop, BPF_FUNC_ktime_get_ns, BPF_FUNC_get_prandom_u32, BPF_FUNC_map_lookup_elem})
    EXPECT_THAT(refused(helper, 0), HasSubstr("maps.m.transform.up: below() calls the helper " + std::to_string(helper) + " at insn 1"));
  EXPECT_THAT(refused(1, BPF_PSEUDO_KFUNC_CALL), HasSubstr("a function of the kernel"));
  Converted looping;  // as clang writes bpf_for()
  looping.after.object.subprograms["flow_up"] = {
      "flow_up", {Insn{.code = BPF_JMP | BPF_CALL, .src = BPF_PSEUDO_CALL, .imm = -1}}, {{0, Reloc::Kind::kExtern, "bpf_iter_num_new", 0}}};
  EXPECT_THAT(messages(looping.plan().refusals), HasSubstr("flow_up() calls bpf_iter_num_new(), a function of the kernel"));
  Converted two;
  two.after.object.maps.push_back(section_of("bss", DataSection::kBss, {{"calls", u64()}}));
  two.after.object.subprograms["flow_up"].relocs = {{3, Reloc::Kind::kVariable, "bss", 0}};
  EXPECT_THAT(messages(two.plan().refusals), HasSubstr("flow_up() uses a variable of .bss at insn 3"));
}

TEST(PlanLocks, ReachTheEngine) {
  Two two;
  const auto lock = structure("bpf_spin_lock", {{"val", u32()}});
  two.maps(map_of("m", MapType::kHash, u32(), structure("v", {{"lock", lock}, {"n", u32()}})),
           map_of("m", MapType::kHash, u32(), structure("v", {{"n", u64()}, {"lock", lock}})));
  const Plan plan = two.plan();
  ASSERT_TRUE(map_plan(plan, "m").sync) << messages(plan.refusals);
  EXPECT_EQ(map_plan(plan, "m").sync->lock0, 0);
  EXPECT_EQ(map_plan(plan, "m").sync->lock1, 8);
}

MapAccess access(std::string program, bool updates, bool deletes, bool writes) {
  return {"m", std::move(program), true, updates, deletes, writes, true};
}
FieldAccess change(AccessKind kind) { return {"m", 0, 8, 0, 0, kind, "count", 7, "count"}; }

std::string class_of(const Two& two) { return map_plan(two.plan(), "m").record.klass; }

TEST(Classes, FollowFromWhatBothGenerationsDo) {
  Two two;
  two.maps(map_of("m", MapType::kHash, u32(), sums()), map_of("m", MapType::kHash, u32(), sums()));
  EXPECT_EQ(class_of(two), "control");
  EXPECT_EQ(map_plan(two.plan(), "m").record.klass_reason, "no program writes it: user space does");
  two.after.facts.maps = {access("open", true, false, false)};
  EXPECT_EQ(class_of(two), "state");
  two.before.facts.maps = {access("close", false, true, false)};
  EXPECT_EQ(class_of(two), "flight");
  two.after.facts.maps.push_back(access("count", false, false, true));
  EXPECT_EQ(class_of(two), "state");
  EXPECT_EQ(map_plan(two.plan(), "m").record.klass_reason, "entries are added (open), changed in place (count), deleted (close)");
  two.before.facts.maps.clear();
  two.after.facts.maps = {access("count", false, false, true)};
  two.after.facts.fields = {change(AccessKind::kAtomicAdd)};
  EXPECT_EQ(class_of(two), "counters");
  two.before.facts.fields = {change(AccessKind::kStore)};
  EXPECT_EQ(class_of(two), "state");
}

TEST(Classes, WorkingMemoryStartsAnewOnlyWhereItsFormChanges) {
  Two two;
  two.maps(map_of("m", MapType::kPercpuArray, u32(), sums(), 1), map_of("m", MapType::kPercpuArray, u32(), v2(), 1));
  two.after.facts.maps = {access("run", false, false, true)};
  EXPECT_EQ(class_of(two), "scratch");
  EXPECT_EQ(map_plan(two.plan(), "m").policy, Policy::kReset);
  EXPECT_EQ(map_plan(two.plan(), "m").record.reason, "scratch: each run writes it before it reads it (run)");
  EXPECT_FALSE(two.plan().lossy);
  two.before.facts.maps = {access("run", false, false, true)};
  two.before.facts.maps[0].reads_earlier = true;
  EXPECT_EQ(class_of(two), "state") << "what a run of the old generation left counts";
  two.before.facts.maps.clear();
  two.after.facts.maps[0].reads_value = false;
  EXPECT_EQ(class_of(two), "state") << "user space reads what no program does";
  two.after.facts.maps[0].reads_value = true;
  two.after.object.maps[0] = two.before.object.maps[0];
  EXPECT_EQ(map_plan(two.plan(), "m").policy, Policy::kReuse);
}

TEST(Classes, NeverLoseWhatWasNotUnderstood) {
  Two two;
  two.maps(map_of("m", MapType::kPercpuArray, u32(), sums()), map_of("m", MapType::kPercpuArray, u32(), v2()));
  two.after.facts.maps = {access("run", false, false, true)};
  two.after.facts.fields = {change(AccessKind::kStore)};
  EXPECT_EQ(class_of(two), "state") << "of many elements scratch is declared, never inferred";
  EXPECT_EQ(map_plan(two.plan(), "m").policy, Policy::kSync);
  two.after.facts = {};
  two.after.facts.gave_up = {"run: too many instructions"};
  EXPECT_EQ(class_of(two), "state");
}

TEST(Classes, AreDeclaredAndDoubted) {
  Two two;
  two.maps(map_of("m", MapType::kHash, u32(), sums()), map_of("m", MapType::kHash, u32(), v2()));
  two.after.manifest.maps["m"].klass = "control";
  EXPECT_EQ(class_of(two), "control");
  EXPECT_EQ(map_plan(two.plan(), "m").record.klass_reason, "the manifest says so");
  two.after.facts.maps = {access("count", false, false, true)};
  EXPECT_THAT(messages(two.plan().warnings), HasSubstr("of class control, but count writes it"));
  two.after.manifest.maps["m"].klass = "scratch";
  EXPECT_EQ(map_plan(two.plan(), "m").policy, Policy::kReset);
  EXPECT_THAT(messages(two.plan().warnings), HasSubstr("shared by all CPUs"));
}

TEST(Exact, SlotsOfACpuAreSafeOnlyWhereNobodyCutsIn) {
  Two two;
  two.maps(map_of("m", MapType::kPercpuArray, u32(), v1()), map_of("m", MapType::kPercpuArray, u32(), v2()));
  two.after.object.programs = {program_of("count")};
  two.after.facts.maps = {access("count", false, false, true)};
  two.env.infer = [](const CodeFacts&, const std::string&, const CodeFacts&, const std::string&, uint32_t, uint32_t, uint32_t,
                     uint32_t) -> std::optional<InferredMerge> { return InferredMerge{Merge::kSum, "load, add, store", false, false}; };
  const auto packets = [&] { return map_plan(two.plan(), "m").record.fields[1]; };
  EXPECT_TRUE(packets().exact) << "XDP runs to its end";
  two.after.object.programs[0].type = 8;  // cgroup_skb
  EXPECT_FALSE(packets().exact);
  EXPECT_THAT(packets().reason, HasSubstr("may be preempted (count)"));
  two.after.object.programs[0] = program_of("count", 2);  // a kprobe
  EXPECT_TRUE(packets().exact);
  two.after.object.programs[0].section = "uprobe//usr/bin/app:work";
  EXPECT_FALSE(packets().exact);
}

TEST(Notes, SayWhatElseAnAuthorShouldKnow) {
  Two two;
  two.maps(map_of("m", MapType::kHash, u32(), v1()), map_of("m", MapType::kHash, u32(), v2()));
  MapRule& rule = two.after.manifest.maps["m"];
  rule.keep_old = 600;
  rule.on_delete = OnDelete::kKeepDelta;
  EXPECT_THAT(map_plan(two.plan(), "m").record.notes, ElementsAre(HasSubstr("keep_delta"), HasSubstr("for 600 s")));
  two.after.object.maps[0] = two.before.object.maps[0];
  EXPECT_THAT(map_plan(two.plan(), "m").record.notes, ElementsAre(HasSubstr("keep_old has nothing to do")));
}

}  // namespace
}  // namespace mapshift::update
