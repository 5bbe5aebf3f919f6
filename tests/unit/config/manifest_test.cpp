// SPDX-License-Identifier: Apache-2.0
#include "config/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "documents.h"

namespace mapshift::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using update::Manifest;

Manifest read(const std::string& text, const SetValues& set = {}) {
  Result<Manifest> manifest = parse_manifest(text, "/srv/modules", set, "m.json");
  EXPECT_TRUE(manifest) << manifest.error().message;
  return manifest.value_or(Manifest{});
}

std::string with(const std::string& members) { return R"({"name": "m", "version": "1", "object": "m.o", )" + members + "}"; }

TEST(Manifest, ReadsEveryMemberOfTheExample) {
  const Manifest manifest = read(kFullManifest);
  EXPECT_EQ(manifest.name, "flowmeter");
  EXPECT_EQ(manifest.object, "/srv/modules/flowmeter_v2.bpf.o");
  ASSERT_THAT(manifest.programs, SizeIs(5));
  EXPECT_EQ(manifest.programs.at("count_packets").attach->interface, "eth0");
  EXPECT_EQ(manifest.programs.at("on_exec").attach->name, "sched_process_exec");
  EXPECT_EQ(manifest.programs.at("on_park").attach->trace.symbol, "main.work");
  EXPECT_EQ(manifest.programs.at("egress").attach->direction, "egress");
  EXPECT_EQ(manifest.programs.at("filter").attach->hook, "skb_egress");
  const update::MapRule& flows = manifest.maps.at("flows");
  EXPECT_EQ(flows.fields.at("packets").merge, update::Merge::kSum);
  EXPECT_EQ(flows.fields.at("source").from, "saddr");
  EXPECT_EQ(flows.fields.at("weight").default_value, 1);
  ASSERT_TRUE(manifest.analysis);
  ASSERT_THAT(manifest.analysis->objectives, SizeIs(3));
  EXPECT_EQ(manifest.analysis->objectives[0].failure_limit, 2);
  EXPECT_EQ(manifest.analysis->objectives[0].ratio_den, "stats.seen");
  EXPECT_EQ(manifest.analysis->objectives[1].max_increase, 2.0);
  EXPECT_EQ(manifest.analysis->objectives[2].indicator, slo::Indicator::kPromql);
}

TEST(Manifest, SetComesBeforeParams) {
  EXPECT_EQ(read(kFullManifest, {{"IFACE", "veth7"}}).programs.at("egress").attach->interface, "veth7");
}

TEST(Manifest, FurtherMembers) {
  const Manifest manifest =
      read(with(R"("rodata": {"a": true, "b": -3, "c": 18446744073709551615, "d": 0.5, "e": "x", "f": [1, -2], "g": "$N", "h": {"i": [{"j": 1}]}},
    "prog_arrays": {"jumps": {"0": "first", "7": "second"}}, "optional": ["first"], "programs": {"third": {"load": false}}, "params": {"N": 12},
    "maps": {"c": {"policy": "sync", "from": "b", "class": "state", "epoch": 3, "on_delete": "keep_delta", "max_entries": "$N"}})"));
  using Value = update::RodataValue;
  const auto whole = [](int64_t number) { return Value{number}; };
  EXPECT_EQ(manifest.rodata.at("a"), Value{true});
  EXPECT_EQ(manifest.rodata.at("b"), whole(-3));
  EXPECT_EQ(manifest.rodata.at("c"), Value{~uint64_t{0}});
  EXPECT_EQ(manifest.rodata.at("f"), (Value{Value::Elements{whole(1), whole(-2)}}));
  EXPECT_EQ(manifest.rodata.at("g"), whole(12));
  const Value inner{Value::Members{{"j", whole(1)}}};
  EXPECT_EQ(manifest.rodata.at("h"), (Value{Value::Members{{"i", Value{Value::Elements{inner}}}}}));
  EXPECT_EQ(manifest.prog_arrays.at("jumps").at(7), "second");
  EXPECT_THAT(manifest.optional_programs, ElementsAre("first"));
  EXPECT_FALSE(manifest.programs.at("third").load);
  const update::MapRule& rule = manifest.maps.at("c");
  EXPECT_EQ(rule.policy, update::Policy::kSync);
  EXPECT_EQ(rule.from, "b");
  EXPECT_EQ(rule.klass, "state");
  EXPECT_EQ(rule.epoch, 3);
  EXPECT_EQ(rule.on_delete, update::OnDelete::kKeepDelta);
  EXPECT_EQ(rule.max_entries, 12U);
}

TEST(Manifest, WhatAMapMaySayOfItsTypesAndItsSuccessor) {
  const Manifest manifest = read(with(R"("maps": {"c": {"keep_old": "10m", "types": {"key": "struct k", "value": "__u64"},
    "transform": {"up": "flow_up", "down": "flow_down"}, "per_instance": true, "key_fields": {"src.addr": {"from": "saddr"}}},
    "d": {"transform": {"up": "d_up", "with": "e", "with_key": "d_key"}, "types": {"value": "union u"}}})"));
  const update::MapRule &c = manifest.maps.at("c"), &d = manifest.maps.at("d");
  EXPECT_EQ(c.keep_old, 600.0);
  EXPECT_EQ(c.key_type, "struct k");
  EXPECT_EQ(c.value_type, "__u64");
  EXPECT_EQ(c.transform_up, "flow_up");
  EXPECT_EQ(c.transform_down, "flow_down");
  EXPECT_TRUE(c.per_instance);
  EXPECT_EQ(c.key_fields.at("src.addr").from, "saddr");
  EXPECT_FALSE(d.keep_old);
  EXPECT_EQ(d.transform_down, "");
  EXPECT_EQ(d.transform_with, "e");
  EXPECT_EQ(d.transform_with_key, "d_key");
  EXPECT_EQ(d.key_type, "");
  EXPECT_FALSE(d.per_instance);
}

TEST(Manifest, WhichMemberOfAUnionIsInUse) {
  const Manifest manifest = read(with(R"("maps": {"c": {"fields": {
    "u": {"discriminator": "kind", "when": {"TCP": "tcp", "17": "udp", "-1": "udp"}, "otherwise": "zero"},
    "w": {"discriminator": "kind", "when": {"1": "a"}}, "x": {"merge": "sum"}}}})"));
  const auto& fields = manifest.maps.at("c").fields;
  EXPECT_EQ(fields.at("u").in_union->discriminator, "kind");
  EXPECT_EQ(fields.at("u").in_union->when, (std::map<std::string, std::string>{{"TCP", "tcp"}, {"17", "udp"}, {"-1", "udp"}}));
  EXPECT_TRUE(fields.at("u").in_union->zero);
  EXPECT_FALSE(fields.at("w").in_union->zero);
  EXPECT_FALSE(fields.at("x").in_union);
}

TEST(Manifest, HowHooksMove) {
  using update::Canary;
  EXPECT_EQ(read(with(R"("swap": "in-order")")).swap, update::SwapTogether::kInOrder);
  EXPECT_EQ(read(with(R"("swap": "together")")).swap, update::SwapTogether::kTogether);
  const Manifest full = read(with(R"("canary": {"steps": [0.1, "$S", 1], "by": "flow", "step": "30s"}, "params": {"S": 0.5})"));
  EXPECT_EQ(full.swap, update::SwapTogether::kTogether);
  EXPECT_THAT(full.canary->steps, ElementsAre(0.1, 0.5));
  EXPECT_EQ(full.canary->by, Canary::By::kFlow);
  EXPECT_EQ(full.canary->step_seconds, 30);
  EXPECT_THAT(read(with(R"("canary": {"ratio": 0.1})")).canary->steps, ElementsAre(0.1, 0.25, 0.5));
  EXPECT_THAT(read(with(R"("canary": {})")).canary->steps, ElementsAre(0.05, 0.25, 0.5));
  EXPECT_THAT(read(with(R"("canary": {"ratio": 0.5})")).canary->steps, ElementsAre(0.5));
}

TEST(Manifest, AnalysisMembersAreDefaultsOfItsObjectives) {
  const Manifest manifest = read(with(R"("analysis": {"bake": "5s", "failureLimit": 3, "onNoData": "rollback", "objectives": [
    {"name": "a", "indicator": "map", "counter": "s.x", "max": 1}, {"name": "b", "indicator": "map", "field": "s.y", "min": 1, "failureLimit": 0}]})"));
  EXPECT_EQ(manifest.analysis->objectives[0].failure_limit, 3);
  EXPECT_EQ(manifest.analysis->objectives[1].failure_limit, 0);
  EXPECT_EQ(manifest.analysis->objectives[1].counter, "s.y");
  EXPECT_EQ(manifest.analysis->objectives[1].on_no_data, slo::OnTrouble::kRollback);
}

TEST(Manifest, TextReadsBackToTheSame) {
  const std::string text = with(R"("programs": {"u": {"attach": {"type": "uprobe", "path": "bin/$APP", "symbol": "a$$b"}}},
    "rodata": {"s": "$ODD", "price": "5$", "n": "$N"}, "params": {"APP": "app", "ODD": "$N and ${N}", "N": "4"})");
  const Manifest first = read(text);
  EXPECT_EQ(first.programs.at("u").attach->path, "/srv/modules/bin/app");
  EXPECT_EQ(first.programs.at("u").attach->trace.symbol, "a$b");
  EXPECT_EQ(first.rodata.at("s"), update::RodataValue{std::string("$N and ${N}")});
  EXPECT_THAT(first.text, Not(HasSubstr("\n")));
  const Result<Manifest> again = parse_manifest(first.text, "/elsewhere", {}, "stored");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->text, first.text);
  EXPECT_EQ(again->object, first.object);
  EXPECT_EQ(again->programs.at("u").attach, first.programs.at("u").attach);
  EXPECT_EQ(again->rodata, first.rodata);
  const Manifest full = read(kFullManifest);
  const Result<Manifest> full_again = parse_manifest(full.text, "/elsewhere", {}, "stored");
  ASSERT_TRUE(full_again) << full_again.error().message;
  EXPECT_EQ(full_again->text, full.text);
  EXPECT_EQ(full_again->programs.at("count_packets").attach, full.programs.at("count_packets").attach);
}

TEST(Manifest, ProgramsThatTraceAreReadWhole) {
  const Manifest manifest = read(with(R"("programs": {
    "a": {"attach": {"type": "uprobe", "path": "/bin/app", "offset": 4096, "pid": 7}},
    "b": {"attach": {"type": "usdt", "path": "/bin/app", "provider": "p", "name": "n"}},
    "c": {"attach": {"type": "kprobe", "name": "do_exit", "offset": 4}},
    "d": {"attach": {"type": "perf_event", "event": "cpu-clock", "frequency": 99}},
    "e": {"attach": {"type": "uretprobe_multi", "path": "/bin/app", "symbol": "work_*"}},
    "f": {"attach": {"type": "lsm", "name": "file_open"}},
    "g": {"attach": {"type": "sockmap", "map": "peers", "hook": "msg_verdict"}},
    "h": {"attach": {"type": "iter", "name": "bpf_map_elem", "map": "flows"}},
    "i": {"attach": {"type": "struct_ops"}}})"));
  const auto attach = [&](const char* program) { return *manifest.programs.at(program).attach; };
  EXPECT_EQ(attach("a").trace.offset, 4096u);
  EXPECT_EQ(attach("a").trace.pid, 7);
  EXPECT_EQ(attach("b").trace.provider, "p");
  EXPECT_EQ(attach("b").name, "n");
  EXPECT_EQ(attach("c").trace.offset, 4u);
  EXPECT_EQ(attach("d").trace.frequency, 99u);
  EXPECT_EQ(attach("e").trace.symbol, "work_*");
  EXPECT_EQ(attach("f").name, "file_open");
  EXPECT_EQ(attach("g").map, "peers");
  EXPECT_EQ(attach("g").hook, "msg_verdict");
  EXPECT_EQ(attach("h").map, "flows");
  EXPECT_EQ(attach("i").type, "struct_ops");
}

TEST(Manifest, ProgramsThatTraceNowhereAreRefused) {
  for (const char* attach : {R"({"type": "uprobe", "path": "/bin/app"})", R"({"type": "uprobe", "symbol": "main"})",
                             R"({"type": "kprobe"})", R"({"type": "lsm", "name": "a b"})", R"({"type": "usdt", "path": "/bin/app", "name": "n"})",
                             R"({"type": "perf_event", "event": "cpu-clock"})", R"({"type": "fentry", "name": "f", "offset": 1})",
                             R"({"type": "sockmap", "hook": "verdict"})", R"({"type": "sockmap", "map": "m", "hook": "skb"})", R"({"type": "iter"})",
                             R"({"type": "struct_ops", "name": "n"})",
                             R"({"type": "perf_event", "event": "cpu-clock", "frequency": 1, "period": 1})"}) {
    EXPECT_FALSE(parse_manifest(with(R"("programs": {"p": {"attach": )" + std::string(attach) + "}}"), "/srv", {}, "m.json")) << attach;
  }
}

TEST(Manifest, TypesOfLaterReleasesPassByNameOnly) {
  const Manifest manifest = read(with(R"("programs": {"p": {"attach": {"type": "netfilter", "function": "do_exit"}}, "q": {}})"));
  EXPECT_EQ(manifest.programs.at("p").attach->type, "netfilter");
  EXPECT_FALSE(manifest.programs.at("q").attach);
}

TEST(Manifest, LoadsFromAFile) {
  const auto dir = std::filesystem::temp_directory_path() / ("mapshift-manifest-" + std::to_string(::getpid()));
  std::filesystem::create_directories(dir);
  std::ofstream(dir / "m.json") << with(R"("maps": {})");
  const Result<Manifest> manifest = load_manifest((dir / "m.json").string(), {});
  const Result<Manifest> missing = load_manifest((dir / "n.json").string(), {});
  std::filesystem::remove_all(dir);
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(manifest->object, (dir / "m.o").string());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace mapshift::config
