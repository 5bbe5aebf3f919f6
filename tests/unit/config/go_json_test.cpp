// SPDX-License-Identifier: Apache-2.0
#include "config/go_json.h"

#include <gmock/gmock.h>

namespace mapshift::config {
namespace {

using namespace std::chrono_literals;
using namespace observe::go;
using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;
using observe::Histogram;

ProcessReport report() {
  ProcessReport out;
  out.pid = 42;
  out.start_ticks = 1'234'567'890'123;
  out.name = "app-1";
  out.path = "/usr/bin/app";
  out.cgroup = "/system.slice/app.service";
  out.go_version = "go1.22.12";
  out.layout_from = "dwarf";
  out.notes = {"no FD.Read: stripped"};
  out.goroutines = 12;
  out.groups = {{"running", "", 2}, {"waiting", "select", 10}};
  out.start_functions = {{"main.worker", 9}};
  out.census_at = 5s;
  out.census_took = 2ms;
  out.gc_cycles = 7;
  out.heap_bytes = 4096;
  out.stw_pause["gc"] = {.bounds = {0.001, 0.01}, .counts = {50, 50, 0}, .sum = 0.3, .sum_is_estimate = true};
  out.sched_latency = {.bounds = {0.001}, .counts = {1, 0}, .sum = 0.0005};
  out.pauses = {{4s, 1us, 20us, true, "GC mark termination"}};
  out.cycles = {{3s, 10us, 1ms, 20us}};
  out.block["select"] = {.bounds = {1}, .counts = {0, 3}, .sum = 9};
  out.netpoll_events = {{"r", 3}};
  out.io_errors = {{"read", 1}};
  out.created = 100;
  out.exited = 99;
  out.probing = {.duty = 0.5, .overhead = 0.01, .crosscheck = 1.5, .windows = 8, .lost = 1, .why_not = ""};
  return out;
}

TEST(GoJson, HasWhatScriptsAskFor) {
  const Json document = to_json(report(), 6s);
  EXPECT_EQ(document["name"], "app-1");
  EXPECT_EQ(document["state"], "captured");
  EXPECT_EQ(document["read_at_ns"], 6'000'000'000);
  const Json& gc = document["stw_pause"]["gc"];
  EXPECT_EQ(gc["count"], 100);
  EXPECT_DOUBLE_EQ(gc["p50"], 0.001);
  EXPECT_DOUBLE_EQ(gc["p99"], 0.00982);
  EXPECT_DOUBLE_EQ(gc["max"], 0.01);
  EXPECT_TRUE(document["run_queue"]["p99"].is_null()) << "nothing was counted";
  EXPECT_EQ(document["run_queue"]["count"], 0);
  EXPECT_DOUBLE_EQ(document["pauses"][0]["total_seconds"], 20e-6);
}

TEST(GoJson, ComesBackAsItWas) {
  const Result<ProcessReport> back = go_process_from_json(Json::parse(to_json(report(), 6s).dump()));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(to_json(*back, 6s), to_json(report(), 6s));
  EXPECT_EQ(back->pauses[0].stopping, 1us);
  EXPECT_EQ(back->census_at, 5s);
  ProcessReport empty;
  empty.state = State::kDenied;
  const Result<ProcessReport> nothing = go_process_from_json(to_json(empty, 0s));
  ASSERT_TRUE(nothing) << nothing.error().message;
  EXPECT_FALSE(nothing->goroutines);
  EXPECT_FALSE(nothing->probing.crosscheck);
  EXPECT_EQ(nothing->state, State::kDenied);
}

TEST(GoJson, BytesOfTheTargetDoNotBreakTheDocument) {
  ProcessReport hostile = report();
  hostile.name = hostile.path = hostile.go_version = hostile.groups[1].reason = "\xff\xc3";
  hostile.block["\xfe"] = {.bounds = {1}, .counts = {1, 1}, .sum = std::numeric_limits<double>::quiet_NaN()};
  hostile.probing.overhead = std::numeric_limits<double>::infinity();
  EXPECT_NO_THROW((void)to_json(hostile, 0s).dump());
}

TEST(GoJson, WhatIsNoReportIsRefused) {
  const auto refused = [](const char* member, const Json& value) {
    Json document = to_json(report(), 0s);
    document[member] = value;
    const Result<ProcessReport> read = go_process_from_json(document);
    ASSERT_FALSE(read) << member;
    EXPECT_THAT(read.error().message, HasSubstr(member));
  };
  refused("state", "asleep");
  refused("pid", "x");
  refused("pid", -1);
  refused("notes", Json::array({1}));
  refused("stw_pause", Json{{"gc", {{"bounds", {1, 2}}, {"counts", {1}}}}});
  refused("sched_latency", Json{{"bounds", {2, 1}}, {"counts", {1, 1, 1}}});
  refused("sched_latency", Json{{"bounds", {1}}, {"counts", {1, -1}}});
  refused("block", Json::array());
  refused("io_errors", Json{{"read", "many"}});
  refused("census_took_seconds", 1e300);
  refused("pauses", Json::array({7}));
  EXPECT_FALSE(go_process_from_json(Json::array()));
  EXPECT_FALSE(go_process_from_json(Json::object())) << "a report has a state";
}

}  // namespace
}  // namespace mapshift::config
