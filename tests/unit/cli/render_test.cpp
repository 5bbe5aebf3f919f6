// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "cli/render_explain.h"
#include "cli/render_plan.h"
#include "cli/render_status.h"
#include "cli/table.h"
#include "scripted_agent.h"

namespace mapshift::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using update::State;

update::UpdateRecord planned() {
  update::UpdateRecord plan = record_in(State::kPlanned);
  update::MapRecord map{.name = "flows", .from = "flow_table", .policy = "sync", .reason = "value layout differs"};
  map.fields = {{"packets", "packets", "sum", "inferred", true, "atomic add at insn 42 of count", "widened u32 to u64"},
                {"source", "saddr", "latest", "manifest", true, "", "renamed"},
                {"", "old", "", "", true, "", "dropped"}};
  map.klass = "counters";
  map.klass_reason = "changed in place only, by adding (count)";
  map.notes = {"key: port: widened u16 to u32"};
  plan.maps = {map, {.name = "stats", .from = "stats", .policy = "reuse", .reason = "identical"}};
  plan.programs = {{"egress", "tcx", "native", 2, "writes flows"}, {"count", "xdp", "native", 1, "reads flows"}};
  return plan;
}

TEST(Render, APlan) {
  EXPECT_EQ(render_plan(planned()),
            "Plan for flowmeter: 1.0.0 (generation 1) -> 2.0.0 (generation 2)\n"
            "\n"
            "Maps\n"
            "  flows (was flow_table): sync, value layout differs\n"
            "    class: counters, changed in place only, by adding (count)\n"
            "    - key: port: widened u16 to u32\n"
            "    FIELD               CHANGE              MERGE   ORIGIN    EXACT  WHY\n"
            "    packets             widened u32 to u64  sum     inferred  yes    atomic add at insn 42 of count\n"
            "    source (was saddr)  renamed             latest  manifest  yes\n"
            "    old                 dropped             -       -         -\n"
            "  stats: reuse, identical\n"
            "\n"
            "Programs, in the order of the swap\n"
            "  ORDER  PROGRAM  TYPE  SWAP    WHY\n"
            "      1  count    xdp   native  reads flows\n"
            "      2  egress   tcx   native  writes flows\n"
            "\n"
            "This update can be done. Nothing has been changed.\n");
}

TEST(Render, MapsOfInstancesThatGoTheSameWayAreOneEntry) {
  update::UpdateRecord plan = record_in(State::kPlanned);
  for (const char* name : {"a", "b"})
    plan.maps.push_back({.name = std::string("cells@") + name, .from = std::string("cells@") + name, .policy = "sync", .reason = "value layout differs"});
  plan.maps.push_back({.name = "cells@c", .policy = "reset", .reason = "the instance \"c\" is new in this generation"});
  EXPECT_THAT(render_plan(plan), HasSubstr("  cells@a, cells@b: sync, value layout differs\n  cells@c: reset, the instance \"c\" is new"));
  EXPECT_EQ(some_of({"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}), "1, 2, 3, 4, 5, 6, 7, 8 and 2 more");
}

TEST(Render, APlanThatLosesOrIsRefusedSaysSo) {
  update::UpdateRecord plan = planned();
  plan.maps[0].lossy = true;
  plan.warnings = {{"lru", "maps.flows", "recency order is lost"}};
  EXPECT_THAT(render_plan(plan),
              AllOf(HasSubstr("[LOSSY]"), HasSubstr("Warnings\n  - maps.flows: recency"), HasSubstr("--allow-lossy")));
  plan.refusals = {{"x", "", "no"}};
  EXPECT_THAT(render_plan(plan), AllOf(HasSubstr("Refused, because of\n  - no\n"), HasSubstr("would be refused")));
}

TEST(Render, TheStoryOfARollback) {
  update::UpdateRecord record = planned();
  record.state = State::kRolledBack;
  record.trigger = "objective";
  record.reason = "drop-ratio 0.05 > 0.01";
  record.phases = {{"loading", 0.2}, {"baking", 75}};
  record.maps[0].conflicts = 3;
  record.maps[0].unsynced = 2;
  record.measurements = {{"drop-ratio", "t1", 0.001, 0.01, slo::Outcome::kPass, ""},
                         {"drop-ratio", "t2", 0.05, 0.01, slo::Outcome::kFail, "0.05 > 0.01"}};
  record.alerts = {{"Errors", "f", "t3", "t4", "duplicate", "ordered before", 2}};
  record.alert_path = "blind";
  const std::string text = render_explain(record);
  for (const char* part :
       {"Update u-000001 of flowmeter: rolled_back\n", "Asked for at 2026-01-01", "loading  200 ms", "baking   1m15s",
        "2 keys had no room", "drop-ratio   0.01  0.05   0.001     0.05     1     1",
        "t2  drop-ratio  fail      0.05   0.01  0.05 > 0.01", "Errors", "path was blind", "It ended rolled_back by objective: drop-ratio 0.05 > 0.01.",
        "Generation 1 (1.0.0) runs again and holds all state, with what was written since the swap; generation 2 (2.0.0) is "
        "gone."}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, Not(HasSubstr("Warnings")));
}

TEST(Render, EveryStateHasAnEnding) {
  for (int i = 0; i <= static_cast<int>(State::kStuck); ++i) {
    const std::string text = render_explain(record_in(static_cast<State>(i)));
    EXPECT_EQ(text.back(), '\n');
    EXPECT_THAT(text, HasSubstr("eneration")) << text;
  }
}

TEST(Render, AModule) {
  update::ModuleRecord module = module_with({record_in(State::kBaking)});
  module.programs = {{"count", "xdp", "xdp on eth0 (native)", 7, 1000, 0, 0.0005}};
  module.maps = {{"flows", "hash", 9, 13, 24, 65536, 12, 4 << 20, "/p"}};
  EXPECT_EQ(render_module(module),
            "flowmeter 1.0.0, generation 1\n"
            "u-000001 flowmeter: baking for 0 s, 0 measurements\n"
            "\n"
            "  PROGRAM  ATTACHED              ID  RUNS  MISSED  RUN TIME\n"
            "  count    xdp on eth0 (native)   7  1000       0  0.5 µs each\n"
            "\n"
            "  MAP    TYPE  ID  KEY   VALUE  ENTRIES    MAX  MEMORY\n"
            "  flows  hash   9  13 B  24 B        12  65536  4.0 MiB\n");
  module.running_update[0].canary = update::CanaryRecord{2, 0.25, {0.05, 0.25}, "flow"};
  module.running_update[0].comparison = {{"count_packets", {100, 2e-7, {{"2", 90}, {"1", 10}}}, {5, {}, {}}, 3}};
  const std::string both = render_module(module);
  EXPECT_THAT(both, HasSubstr("baking (canary 2 of 2, 25 % of flows) for"));
  EXPECT_THAT(both, HasSubstr("0.2 µs"));
  EXPECT_THAT(both, HasSubstr("1: 10 %, 2: 90 %"));
  EXPECT_THAT(both, HasSubstr("count_packets: 3 events found no program"));
  EXPECT_THAT(render_modules({}), HasSubstr("No module is loaded"));
  EXPECT_THAT(render_modules({module}), HasSubstr("u-000001 baking"));
}

TEST(Render, AModuleWithInstancesNamesThem) {
  update::ModuleRecord module;
  module.name = "flowmeter";
  module.version = "1.0.0";
  module.programs = {{"count@b", "xdp", "xdp on eth1 (native)", 7, 0, 0, 0}, {"count@a", "xdp", "xdp on eth0 (native)", 8, 0, 0, 0}, {"watch", "tracepoint", "", 9, 0, 0, 0}};
  EXPECT_THAT(render_module(module), HasSubstr("flowmeter 1.0.0, generation 0, instances a, b\n"));
}

TEST(Render, WhoHoldsTheFormerMap) {
  update::ModuleRecord module = module_with({});
  module.maps = {{"flows", "hash", 9, 13, 24, 65536, 12, 4 << 20, "/p"}};
  module.maps[0].kept = {7, "2026-01-01T00:10:00.000Z", {{4711, "reader"}, {4712, "other"}}, 3, ""};
  EXPECT_THAT(render_module(module), HasSubstr("flows: the former map, id 7, is kept in step until 2026-01-01T00:10:00.000Z; held by 4711 (reader), "
                                               "4712 (other) and 1 more\n    let them open /p again: then it is dropped\n"));
  module.maps[0].kept = {7, "2026-01-01T00:10:00.000Z", {{4711, "reader"}, {0, "program 12 (on_receive)"}}, 2, ""};
  EXPECT_THAT(render_module(module), HasSubstr("held by 4711 (reader), program 12 (on_receive)\n    sockets run these programs on: it is dropped when "
                                               "the last of them has gone\n"));
  module.maps[0].kept = {7, "2026-01-01T00:10:00.000Z", {}, 0, "no room"};
  EXPECT_THAT(render_module(module), HasSubstr("held by nobody that was found\n    NOT IN STEP: no room\n"));
}

TEST(Render, History) {
  EXPECT_THAT(render_history({}), HasSubstr("No update yet"));
  EXPECT_THAT(render_history({record_in(State::kCommitted)}),
              HasSubstr("u-000001  flowmeter  committed  1.0.0 #1  2.0.0 #2  2026-01-01T00:00:00.000Z  12 s"));
}

TEST(Render, ProgressNamesTheSlowestMapAndFitsTheTerminal) {
  update::UpdateRecord record = planned();
  record.state = State::kSyncing;
  record.maps[0].progress = 0.5;
  record.maps[0].passes = 2;
  record.maps[0].keys = 100;
  EXPECT_EQ(render_progress(record), "u-000001 flowmeter: syncing flows, pass 2, 100 keys, 50 %");
  EXPECT_EQ(render_progress_bar(record, 200), "flowmeter [##########..............] syncing flows, pass 2, 100 keys, 50 %");
  EXPECT_EQ(render_progress_bar(record, 20).size(), 19U);
}

TEST(Render, Figures) {
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_seconds(0), "0 s");
  EXPECT_EQ(human_seconds(0.0123), "12.3 ms");
  EXPECT_EQ(human_seconds(90), "1m30s");
  EXPECT_EQ(human_seconds(1e300), "1e+300 s");
}

}  // namespace
}  // namespace mapshift::cli
