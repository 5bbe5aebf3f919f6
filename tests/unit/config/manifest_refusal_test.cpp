// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "config/manifest.h"

namespace mapshift::config {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

std::string with(const std::string& members) { return R"({"name": "m", "version": "1", "object": "m.o", )" + members + "}"; }

Error refusal(const std::string& text, const SetValues& set = {}) {
  const auto manifest = parse_manifest(text, "/srv", set, "m.json");
  EXPECT_FALSE(manifest) << text;
  return manifest ? Error{} : manifest.error();
}

struct Case {
  const char* members;
  const char* code;
  const char* where;
  const char* message;
};

// Each is wrong in exactly one way.
const Case kCases[] = {
    {R"("progams": {})", "unknown-member", "progams", "did you mean \"programs\"?"},
    {R"("programs": [])", "wrong-type", "programs", "must be an object, not an array"},
    {R"("programs": {"../x": {}})", "bad-name", "programs.../x", "is not a name"},
    {R"("programs": {"p": {"atach": {}}})", "unknown-member", "programs.p.atach", "did you mean \"attach\"?"},
    {R"("programs": {"p": {"attach": {}}})", "missing-member", "programs.p.attach.type", "missing"},
    {R"("programs": {"p": {"attach": {"type": "xpd"}}})", "unknown-attach-type", "programs.p.attach.type",
     "did you mean \"xdp\"?"},
    {R"("programs": {"p": {"attach": {"type": "xdp"}}})", "missing-member", "programs.p.attach.interface", "missing"},
    {R"("programs": {"p": {"attach": {"type": "xdp", "interface": "../eth0"}}})", "bad-value", "programs.p.attach.interface",
     "network interface"},
    {R"("programs": {"p": {"attach": {"type": "xdp", "interface": "e", "mode": "skb"}}})", "bad-value", "programs.p.attach.mode",
     "known: auto, native, generic"},
    {R"("programs": {"p": {"attach": {"type": "tcx", "interface": "e", "direction": "out"}}})", "bad-value",
     "programs.p.attach.direction", "ingress"},
    {R"("programs": {"p": {"attach": {"type": "tracepoint", "category": "../..", "name": "x"}}})", "bad-value",
     "programs.p.attach.category", "is not a name"},
    {R"("programs": {"p": {"attach": {"type": "xdp", "interface": "e", "hook": "x"}}})", "unknown-member",
     "programs.p.attach.hook", "unknown member"},
    {R"("maps": {"m": {"policy": "atuo"}})", "bad-value", "maps.m.policy", "did you mean \"auto\"?"},
    {R"("maps": {"m": {"max_entries": 0}})", "out-of-range", "maps.m.max_entries", "from 1 to 4294967295"},
    {R"("maps": {"m": {"max_entries": 4294967296}})", "out-of-range", "maps.m.max_entries", "from 1"},
    {R"("maps": {"m": {"fields": {"a": {"merge": "add"}}}})", "bad-value", "maps.m.fields.a.merge", "known: sum"},
    {R"("maps": {"m": {"fields": {"a": {"default": 9223372036854775808}}}})", "out-of-range", "maps.m.fields.a.default",
     "must be from"},
    {R"("maps": {"m": {"fields": {"a b": {}}}})", "bad-name", "maps.m.fields.a b", "path of a field"},
    {R"("maps": {"m": {"fields": {"a": {"when": {"1": "b"}}}}})", "bad-value", "maps.m.fields.a.when", "has a \"discriminator\""},
    {R"("maps": {"m": {"fields": {"a": {"discriminator": "k"}}}})", "missing-member", "maps.m.fields.a.when", "missing"},
    {R"("maps": {"m": {"fields": {"a": {"discriminator": "k", "when": {"1 2": "b"}}}}})", "bad-name", "maps.m.fields.a.when.1 2", "neither a number"},
    {R"("maps": {"m": {"fields": {"a": {"discriminator": "k", "when": {"1": 2}}}}})", "wrong-type", "maps.m.fields.a.when.1", "string"},
    {R"("maps": {"m": {"fields": {"a": {"discriminator": "k", "when": {"1": "b"}, "otherwise": "byte"}}}})", "bad-value", "maps.m.fields.a.otherwise", "bytes"},
    {R"("maps": {"m": {"keep_old": "10"}})", "bad-duration", "maps.m.keep_old", "not a duration"},
    {R"("maps": {"m": {"keep_old": "200h"}})", "out-of-range", "maps.m.keep_old", "must be from 1s to"},
    {R"("maps": {"m": {"types": {"vlaue": "struct v"}}})", "unknown-member", "maps.m.types.vlaue", "did you mean \"value\"?"},
    {R"("maps": {"m": {"types": {"value": "struct v;"}}})", "bad-value", "maps.m.types.value", "such as \"struct flow\""},
    {R"("maps": {"m": {"transform": {"down": "f"}}})", "missing-member", "maps.m.transform.up", "missing"},
    {R"("maps": {"m": {"transform": {"up": "a.b"}}})", "bad-value", "maps.m.transform.up", "name of a function"},
    {R"("maps": {"m": {"transform": {"up": "f", "with": "a/b"}}})", "bad-value", "maps.m.transform.with", "a name"},
    {R"("maps": {"m": {"transform": {"up": "f", "with_key": "g"}}})", "missing-member", "maps.m.transform.with", "missing"},
    {R"("maps": {"m": {"transform": {"up": "f", "with": "n", "with_down": "g"}}})", "missing-member", "maps.m.transform.down", "missing"},
    {R"("maps": {"m": {"per_instance": 1}})", "wrong-type", "maps.m.per_instance", "boolean"},
    {R"("maps": {"m": {"key_fields": {"a": {}}}})", "missing-member", "maps.m.key_fields.a.from", "missing"},
    {R"("maps": {"m": {"key_fields": {"a": {"from": "b", "merge": "sum"}}}})", "unknown-member", "maps.m.key_fields.a.merge",
     "unknown member"},
    {R"("nonsense": 1)", "unknown-member", "nonsense", ", instances,"},
    {R"("analysis": {"bake": "-1s"})", "bad-duration", "analysis.bake", "not a duration"},
    {R"("analysis": {"bake": 60})", "wrong-type", "analysis.bake", "must be a string, not an integer"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "map", "counter": "a.b"}]})", "missing-condition",
     "analysis.objectives[0].max", "maxIncrease"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "go", "value": "stw_p99", "max": 1}]})", "missing-member",
     "analysis.objectives[0].process", "process"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "go", "process": "a", "value": "block_p99", "max": 1}]})",
     "missing-member", "analysis.objectives[0].reason", "reason"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "go", "process": "a", "value": "stw_p99", "reason": "sleep", "max": 1}]})",
     "bad-indicator", "analysis.objectives[0].reason", "not counted by reason"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "go", "process": "a", "value": "stw_p50", "max": 1}]})", "bad-value",
     "analysis.objectives[0].value", "stw_p99"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "go", "process": "a", "program": "p", "value": "stw_p99", "max": 1}]})",
     "unknown-member", "analysis.objectives[0].program", "program"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "map", "max": 1}]})", "bad-indicator",
     "analysis.objectives[0].ratio", "either"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "mpa", "max": 1, "counter": "a"}]})", "bad-value",
     "analysis.objectives[0].indicator", "did you mean \"map\"?"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "map", "counter": "a", "maxIncrease": "2x"}]})", "bad-value",
     "analysis.objectives[0].maxIncrease", "200%"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "map", "counter": "a", "min": 2, "max": 1}]})", "bad-condition",
     "analysis.objectives[0].min", "no value can pass"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "program", "program": "p", "value": "run_time", "max": 1}]})",
     "bad-value", "analysis.objectives[0].value", "run_time_avg"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "host", "value": "load", "max": 1}]})",
     "bad-value", "analysis.objectives[0].value", "cpu_share"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "host", "value": "drops_rate", "max": 1}]})",
     "missing-member", "analysis.objectives[0].interface", "interface"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "host", "value": "drops_rate", "interface": "../x", "max": 1}]})",
     "bad-value", "analysis.objectives[0].interface", "interface"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "migration", "value": "speed", "max": 1}]})",
     "bad-value", "analysis.objectives[0].value", "conflicts"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "map", "counter": "a", "burnRate": {"objective": 0.9, "factor": 2}}]})",
     "bad-condition", "analysis.objectives[0].burnRate", "ratio"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "map", "ratio": {"num": "a", "den": "b"}, "max": 1, "burnRate": {"objective": 0.9, "factor": 2}}]})",
     "bad-condition", "analysis.objectives[0].max", "alone"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "map", "ratio": {"num": "a", "den": "b"}, "burnRate": {"objective": 1, "factor": 2}}]})",
     "bad-value", "analysis.objectives[0].burnRate.objective", "below 1"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "map", "ratio": {"num": "a", "den": "b"}, "burnRate": {"objective": 0.9, "factor": 2, "long": "1m", "short": "1m"}}]})",
     "bad-value", "analysis.objectives[0].burnRate.short", "shorter"},
    {R"("analysis": {"objectives": [{"name": "o", "indicator": "map", "counter": "a", "max": 1, "onError": "promote"}]})",
     "bad-value", "analysis.objectives[0].onError", "hold"},
    {R"("rodata": {"v": null})", "wrong-type", "rodata.v", "not null"},
    {R"("rodata": {"v": {"a": [1, null]}})", "wrong-type", "rodata.v.a[1]", "not null"},
    {R"("prog_arrays": {"j": {"01": "p"}})", "bad-slot", "prog_arrays.j.01", "slot"},
    {R"("optional": ["p", "p"])", "duplicate-name", "optional[1]", "twice"},
    {R"("swap": "at-once")", "bad-value", "swap", "not one of"},
    {R"("swap": "in-order", "canary": {})", "bad-value", "swap", "together"},
    {R"("canary": {"steps": [1]})", "bad-value", "canary.steps", "below 1"},
    {R"("canary": {"steps": [0.5, 0.25]})", "bad-value", "canary.steps[1]", "rising"},
    {R"("canary": {"ratio": 2})", "out-of-range", "canary.ratio", "to 1"},
    {R"("canary": {"ratio": 0.1, "steps": [0.1]})", "bad-value", "canary.ratio", "first of"},
    {R"("canary": {"by": "chance"})", "bad-value", "canary.by", "not one of"},
    {R"("params": {"A": {}})", "wrong-type", "params.A", "must be a string"},
    {R"("params": {"A-B": "x"})", "bad-name", "params.A-B", "parameter"},
    {R"("rodata": {"v": "$NOPE"})", "unresolved-name", "rodata.v", "--set NOPE="},
};

TEST(ManifestRefusal, EachMistakeIsNamed) {
  for (const Case& one : kCases) {
    const Error error = refusal(with(one.members));
    ASSERT_THAT(error.problems, SizeIs(1)) << one.members << "\n" << error.message;
    EXPECT_EQ(error.problems[0].code, one.code) << one.members;
    EXPECT_EQ(error.problems[0].where, one.where) << one.members;
    EXPECT_THAT(error.problems[0].message, HasSubstr(one.message)) << one.members;
    EXPECT_THAT(error.problems[0].message, HasSubstr("line 1: ")) << one.members;
  }
}

TEST(ManifestRefusal, AllThatIsWrongInOneAnswer) {
  const Error error = refusal("{\n\"name\": \"a/b\",\n\"object\": 3,\n\"maps\": {\"m\": {\"policy\": 1}}\n}");
  EXPECT_THAT(error.problems, SizeIs(4)) << error.message;
  EXPECT_THAT(error.message, HasSubstr("line 2: "));
  EXPECT_THAT(error.message, HasSubstr("line 3: "));
  EXPECT_THAT(error.message, HasSubstr("line 4: "));
  EXPECT_THAT(error.message, HasSubstr("\"version\" is missing"));
}

TEST(ManifestRefusal, ASetThatNothingUses) {
  const Error error = refusal(with(R"("rodata": {"v": "$IFACE"}, "params": {"IFACE": "e"})"), {{"IFCE", "x"}});
  ASSERT_THAT(error.problems, SizeIs(1));
  EXPECT_EQ(error.problems[0].code, "unused-set");
  EXPECT_THAT(error.problems[0].message, HasSubstr("did you mean \"IFACE\"?"));
  const Error far = refusal(with(R"("rodata": {"v": "$IFACE"}, "params": {"IFACE": "e"})"), {{"PROGRAM", "x"}});
  EXPECT_EQ(far.problems.at(0).message, "--set PROGRAM: the manifest has no $PROGRAM; known: IFACE");
}

TEST(ManifestRefusal, FilledInTextIsBounded) {
  std::string rodata;
  for (int i = 0; i < 500; ++i) rodata += (i == 0 ? "\"v" : ",\"v") + std::to_string(i) + R"(": "$A$A$A$A")";
  const Error error = refusal(with("\"rodata\": {" + rodata + "}"), {{"A", std::string(100'000, 'x')}});
  EXPECT_THAT(error.problems, SizeIs(1));
  EXPECT_EQ(error.problems[0].code, "too-large");
}

// Thousands of wrong names among thousands of others, each compared with each, would take minutes.
TEST(ManifestRefusal, ManyWrongNamesAreSaidAtOnce) {
  const auto name = [](char begin, int i) { return begin + std::string(50, 'n') + std::to_string(i); };
  std::string params;
  SetValues set;
  for (int i = 0; i < 2000; ++i) {
    params += (i == 0 ? "\"" : ",\"") + name('a', i) + R"(": "x")";
    set[name('b', i)] = "y";
  }
  const auto begin = std::chrono::steady_clock::now();
  const Error error = refusal(with("\"params\": {" + params + "}"), set);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
  EXPECT_THAT(error.message, HasSubstr("2000 problems"));
  EXPECT_THAT(error.message, HasSubstr("and 1900 more"));
}

TEST(ManifestRefusal, WhatIsQuotedIsOneShortLine) {
  const Error error = refusal(R"({"name": "a\nb\u001b[2J", "version": ")" + std::string(100'000, 'v') + R"(", "object": "m.o"})");
  ASSERT_THAT(error.problems, SizeIs(2));
  EXPECT_THAT(error.problems[0].message, HasSubstr("\"a?b?[2J\" is not a name"));
  EXPECT_LT(error.problems[1].message.size(), 1100U);
}

// Of 40 GB, were it filled in before it is measured.
TEST(ManifestRefusal, FilledInTextOfOneStringIsBounded) {
  std::string often;
  for (int i = 0; i < 100'000; ++i) often += "$A";
  const Error error = refusal(with(R"("rodata": {"v": ")" + often + "\"}"), {{"A", std::string(400'000, 'x')}});
  EXPECT_THAT(error.problems, SizeIs(1));
  EXPECT_EQ(error.problems[0].code, "too-large");
}

}  // namespace
}  // namespace mapshift::config
