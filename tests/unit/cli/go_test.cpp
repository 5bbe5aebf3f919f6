// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <algorithm>
#include <sstream>

#include "cli/exit_status.h"
#include "cli/render_go.h"
#include "cli/render_go_parts.h"
#include "config/go_json.h"
#include "scripted_agent.h"

namespace mapshift::cli {
namespace {

using namespace std::chrono_literals;
using namespace observe::go;
using observe::Histogram;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Histogram durations(std::vector<uint64_t> counts, double sum = 0.25) {
  return {.bounds = {0.00001, 0.0001, 0.001}, .counts = std::move(counts), .sum = sum};
}

ProcessReport captured() {
  ProcessReport report;
  report.name = "shop";
  report.pid = 4711;
  report.path = "/usr/bin/shop";
  report.cgroup = "/system.slice/shop.service";
  report.go_version = "go1.22.12";
  report.layout_from = "dwarf";
  report.goroutines = 112;
  report.groups = {{"running", "", 2}, {"waiting", "IO wait", 10}, {"waiting", "chan receive", 100}};
  report.start_functions = {{"main.worker", 100}, {"net/http.(*conn).serve", 10}};
  report.census_at = 58s;
  report.census_took = 1200us;
  report.gc_cycles = 120;
  report.heap_bytes = 4 << 20;
  report.stw_pause = {{"gc", durations({200, 40, 0, 0})}, {"other", durations({1, 0, 1, 0})}};
  report.stw_stopping = {{"gc", durations({240, 0, 0, 0})}};
  report.sched_latency = durations({900, 90, 10, 0});
  report.pauses = {{59s, 5us, 80us, true, "GC mark termination"}};
  report.cycles = {{59s, 20us, 3ms, 80us}};
  report.block = {{"chan receive", durations({10, 10, 10, 0})}, {"IO wait", durations({0, 0, 90, 0})}};
  report.run_queue = durations({30, 0, 0, 0});
  report.netpoll_events = {{"r", 70}, {"w", 2}};
  report.io = {{"read", durations({70, 0, 0, 0})}};
  report.io_errors = {{"read", 3}};
  report.created = 1000;
  report.exited = 990;
  report.probing = {.duty = 0.02, .overhead = 0.0042, .crosscheck = 1.01, .windows = 9, .lost = 0, .why_not = ""};
  report.notes = {"FD.Write was inlined: writes are not seen"};
  return report;
}

ProcessReport refused() {
  ProcessReport report;
  report.name = "old";
  report.pid = 99;
  report.go_version = "go1.12";
  report.state = State::kUnsupported;
  report.reason = "Go 1.12 is older than 1.19";
  return report;
}

size_t widest(const std::string& text) {
  size_t widest = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto columns = std::ranges::count_if(line, [](unsigned char c) { return (c & 0xC0) != 0x80; });
    widest = std::max(widest, static_cast<size_t>(columns));
  }
  return widest;
}

TEST(RenderGo, AListThatPeopleReadWithPleasure) {
  ProcessReport second = captured();
  second.name = "shop-1";
  second.pid = 12;
  second.groups.clear();
  second.stw_pause.clear();
  EXPECT_EQ(render_go_processes({.processes = {captured(), second, refused()}}),
            "PROCESS   PID       GO  GOROUTINES   GC  STW P50  STW P99  STW MAX  SCHED P99  WAITING FOR         COST\n"
            "shop     4711  1.22.12         112  120  6.02 µs  96.8 µs     1 ms     100 µs  chan receive 100  0.42 %\n"
            "shop-1     12  1.22.12         112  120        -        -        -     100 µs  -                 0.42 %\n"
            "\n"
            "GC: cycles. STW: stops of the world. SCHED: from runnable to running. All since the process began.\n"
            "WAITING FOR: most frequent wait at the last census, goroutines. COST: CPU time of probes, of the process's own.\n"
            "\n"
            "NOT CAPTURED  PID    GO  STATE        REASON\n"
            "old            99  1.12  unsupported  Go 1.12 is older than 1.19\n");
}

TEST(RenderGo, NothingToShowSaysWhy) {
  EXPECT_THAT(render_go_processes({}), HasSubstr("No Go process runs"));
  EXPECT_THAT(render_go_processes({.enabled = false, .reason = "go.enabled is false"}), HasSubstr("captured: go.enabled is false.\n"));
  EXPECT_THAT(render_go_processes({.processes = {refused()}}), AllOf(HasSubstr("No Go process is captured now"), HasSubstr("unsupported")));
  EXPECT_THAT(render_go_processes({.dropped = 3}), HasSubstr("3 processes were found beyond go.max_processes"));
}

TEST(RenderGo, ThePageOfOneProcess) {
  const std::string page = render_go_process(captured(), 60s);
  EXPECT_THAT(page, HasSubstr("shop, pid 4711, go1.22.12 (offsets from dwarf)\n  /usr/bin/shop\n  /system.slice/shop.service\n"
                              "  112 goroutines, 120 collections, heap 4.0 MiB; 1000 goroutines began, 990 ended\n"
                              "  network poller found ready: 70 readable, 2 writable\n"));
  EXPECT_THAT(page, HasSubstr("Since the process began, as its runtime counts\n"
                              "  WHAT                         COUNT      P50      P99     MAX     SUM\n"
                              "  stop of the world, gc          240     6 µs  94.6 µs  100 µs  250 ms\n"
                              "  stop of the world, other         2    10 µs   982 µs    1 ms  250 ms\n"
                              "    until all had stopped, gc    240     5 µs   9.9 µs   10 µs  250 ms\n"
                              "  runnable to running           1000  5.56 µs   100 µs    1 ms  250 ms\n"));
  EXPECT_THAT(page, AllOf(HasSubstr("  wait: IO wait           90"), HasSubstr("  wait: chan receive      30"), HasSubstr("  read (3 failed)")));
  EXPECT_LT(page.find("wait: IO wait"), page.find("wait: chan receive")) << "the most frequent first";
  EXPECT_THAT(page, HasSubstr("Last stops of the world\n"
                              "  AGO  STOPPING  TOTAL  WHY\n"
                              "  1 s      5 µs  80 µs  GC mark termination\n"));
  EXPECT_THAT(page, HasSubstr("  AGO  SWEEP TERMINATION  MARK  MARK TERMINATION\n"
                              "  1 s              20 µs  3 ms             80 µs\n"));
  EXPECT_THAT(page, HasSubstr("Census of goroutines, 2 s ago, took 1.2 ms\n"
                              "  GOROUTINES  STATE    REASON\n"
                              "           2  running  -\n"));
  EXPECT_THAT(page, HasSubstr("         100  main.worker\n"));
  EXPECT_THAT(page, HasSubstr("  attached 2 % of the time, in 9 windows; cost 0.42 % of the process's CPU time; 0 events lost\n"
                              "  saw 1.010 of what the runtime counted"));
  EXPECT_THAT(page, HasSubstr("Notes\n  - FD.Write was inlined"));
}

TEST(RenderGo, APageWithLittleIsShort) {
  ProcessReport report = refused();
  EXPECT_THAT(render_go_process(report, 60s), HasSubstr("not captured, unsupported: Go 1.12 is older than 1.19\n"));
  report.state = State::kCaptured;
  report.probing.why_not = "go.overhead_budget is 0";
  const std::string page = render_go_process(report, 60s);
  EXPECT_THAT(page, AllOf(HasSubstr("- goroutines, - collections\n"), HasSubstr("never attached in windows: go.overhead_budget is 0"), Not(HasSubstr("Census"))));
}

TEST(RenderGo, NoLineIsTooLongWhateverAProcessCallsItself) {
  const std::string hostile = "a\nb\x1b[2J" + std::string(500, 'x') + "\xC3\xA9";
  ProcessReport report = captured();
  report.name = report.path = report.cgroup = report.go_version = report.layout_from = hostile;
  report.pid = 4'194'304;
  report.goroutines = 1'000'000;
  report.gc_cycles = 12'345'678;
  report.groups = {{hostile, hostile, 1}, {"waiting", hostile, 123'456'789}};
  report.start_functions = {{hostile, 1'000'000}};
  report.block = {{hostile, durations({1'000'000'000, 1, 1, 1})}};
  report.pauses[0].reason = hostile;
  report.notes = {hostile};
  ProcessReport other = report;
  other.state = State::kUnsupported;
  other.reason = hostile;
  const std::string list = render_go_processes({.processes = {report, other}});
  EXPECT_LE(widest(list), 120u) << list;
  EXPECT_THAT(list, Not(HasSubstr("\x1b")));
  EXPECT_LE(widest(render_go_process(report, 60s)), 120u) << render_go_process(report, 60s);
  report.probing.why_not = hostile;
  EXPECT_LE(widest(render_go_process(report, 60s)), 120u);
  EXPECT_LE(widest(render_go_process(other, 60s)), 120u);
  EXPECT_LE(widest(render_go_processes({.enabled = false, .reason = hostile})), 120u);
}

TEST(RenderGo, FitsByColumns) {
  EXPECT_EQ(fit("abc", 3), "abc");
  EXPECT_EQ(fit("abcd", 3), "ab…");
  EXPECT_EQ(fit("µµµ", 3), "µµµ");
  EXPECT_EQ(fit("µµµµ", 3), "µµ…");
  EXPECT_EQ(fit("", 3), "");
  EXPECT_EQ(fit("a\tb", 3), "a?b");
  EXPECT_EQ(fit("a\xC2\x9B" "2J", 4), "a?2J");
  EXPECT_EQ(fit("\xC2\xA0\xC2\x80", 4), "\xC2\xA0?");
}

TEST(RenderGo, CellsAreShort) {
  EXPECT_EQ(percent(0), "0 %");
  EXPECT_EQ(percent(0.00423), "0.42 %");
  EXPECT_EQ(percent(0.125), "12 %");
  EXPECT_EQ(percent(1), "100 %");
  EXPECT_EQ(optional_seconds(0.99999), "1 s") << "not 1e+03 ms";
  EXPECT_EQ(optional_seconds(0.00099999), "1 ms");
  EXPECT_EQ(optional_seconds({}), "-");
}

Json list_of(const std::vector<ProcessReport>& reports) {
  Json document{{"enabled", true}, {"reason", ""}, {"read_at_ns", 60'000'000'000}, {"dropped_processes", 0}, {"processes", Json::array()}};
  for (const ProcessReport& report : reports) document["processes"].push_back(config::to_json(report, 60s));
  return document;
}

TEST(GoCommand, ListsAndShowsOne) {
  ScriptedAgent agent;
  agent.answer(200, list_of({captured()}));
  Outcome outcome = run_line(agent, {"go"});
  EXPECT_EQ(outcome.status, kDone) << outcome.err;
  EXPECT_EQ(agent.asked[0].path, "/api/v1/go");
  EXPECT_THAT(outcome.out, HasSubstr("shop  "));
  agent.answer(200, config::to_json(captured(), 60s));
  outcome = run_line(agent, {"go", "4711"});
  EXPECT_EQ(outcome.status, kDone) << outcome.err;
  EXPECT_EQ(agent.asked[1].path, "/api/v1/go/4711");
  EXPECT_THAT(outcome.out, HasSubstr("Census of goroutines, 2 s ago"));
}

TEST(GoCommand, JsonIsWhatTheAgentSaid) {
  ScriptedAgent agent;
  const Json document = list_of({captured(), refused()});
  agent.answer(200, document);
  const Outcome outcome = run_line(agent, {"--output", "json", "go"});
  EXPECT_EQ(outcome.status, kDone);
  EXPECT_EQ(Json::parse(outcome.out), document);
  EXPECT_EQ(outcome.err, "");
}

TEST(GoCommand, FailuresAreSaid) {
  ScriptedAgent agent;
  agent.answer(404, {{"title", "not-found"}, {"status", 404}, {"detail", "no Go process 7"}, {"errors", Json::array()}});
  Outcome outcome = run_line(agent, {"go", "7"});
  EXPECT_EQ(outcome.status, kFailed);
  EXPECT_THAT(outcome.err, HasSubstr("no Go process 7"));
  agent.be_silent();
  EXPECT_EQ(run_line(agent, {"go"}).status, kUnreachable);
  for (const Json& strange : {Json::array(), Json(7), Json{{"processes", {1}}}, Json{{"processes", 3}, {"enabled", 1}, {"reason", 7}}}) {
    agent.answer(200, strange);
    const Outcome answer = run_line(agent, {"go"});
    EXPECT_TRUE(answer.status == kDone || answer.status == kFailed) << strange;
    agent.answer(200, strange);
    EXPECT_EQ(run_line(agent, {"go", "1"}).status, kFailed) << strange;
  }
}

}  // namespace
}  // namespace mapshift::cli
