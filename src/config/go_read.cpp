// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "config/go_json.h"
#include "config/json_members.h"

namespace mapshift::config {
namespace {

using namespace observe::go;
using observe::Histogram;

constexpr std::array kStates{State::kCaptured, State::kUnsupported, State::kDenied, State::kOverLimit};
constexpr double kLongest = 1e9;  // seconds: what fits into Nanos

void read_state(Members& in, State& out) {
  std::string text;
  in.get("state", text);
  const auto* known = std::ranges::find(kStates, text, [](State state) { return to_string(state); });
  known == kStates.end() ? in.complain("state", "is no state of a Go process") : static_cast<void>(out = *known);
}

void read_seconds(Members& in, const char* name, Nanos& out) {
  double value = 0;
  in.get(name, value);
  if (!(std::abs(value) < kLongest)) return in.complain(name, "is no duration");
  out = std::chrono::duration_cast<Nanos>(Seconds(value));
}

void read_stamp(Members& in, const char* name, Nanos& out) {
  int64_t value = 0;
  in.get(name, value);
  out = Nanos(value);
}

void read_histogram(Members& in, Histogram& out) {
  in.get("bounds", out.bounds);
  in.get("counts", out.counts);
  in.get("sum", out.sum);
  in.get("sum_is_estimate", out.sum_is_estimate);
  const bool rising = std::ranges::adjacent_find(out.bounds, std::greater_equal<>()) == out.bounds.end();
  const bool fits = out.counts.size() == out.bounds.size() + 1 || (out.counts.empty() && out.bounds.empty());
  if (!rising || !fits) in.complain("counts", "do not fit \"bounds\"");
}

void read_group(Members& in, GoroutineGroup& out) {
  in.get("state", out.state);
  in.get("reason", out.reason);
  in.get("count", out.count);
}

void read_start_function(Members& in, StartFunction& out) {
  in.get("function", out.function);
  in.get("count", out.count);
}

void read_pause(Members& in, Pause& out) {
  read_stamp(in, "began_ns", out.began);
  read_seconds(in, "stopping_seconds", out.stopping);
  read_seconds(in, "total_seconds", out.total);
  in.get("gc", out.gc);
  in.get("reason", out.reason);
}

void read_cycle(Members& in, Cycle& out) {
  read_stamp(in, "began_ns", out.began);
  read_seconds(in, "sweep_termination_seconds", out.sweep_termination);
  read_seconds(in, "mark_seconds", out.mark);
  read_seconds(in, "mark_termination_seconds", out.mark_termination);
}

void read_probing(Members& in, Probing& out) {
  in.get("duty", out.duty);
  in.get("overhead", out.overhead);
  in.get("crosscheck", out.crosscheck);
  in.get("windows", out.windows);
  in.get("lost", out.lost);
  in.get("why_not", out.why_not);
}

void read_identity(Members& in, ProcessReport& out) {
  in.get("name", out.name);
  in.get("pid", out.pid);
  in.get("start_ticks", out.start_ticks);
  read_state(in, out.state);
  in.get("reason", out.reason);
  in.get("notes", out.notes);
  in.get("path", out.path);
  in.get("cgroup", out.cgroup);
  in.get("go_version", out.go_version);
  in.get("layout_from", out.layout_from);
}

void read_census(Members& in, ProcessReport& out) {
  in.get("goroutines", out.goroutines);
  in.array("groups", out.groups, read_group);
  in.array("start_functions", out.start_functions, read_start_function);
  read_stamp(in, "census_at_ns", out.census_at);
  read_seconds(in, "census_took_seconds", out.census_took);
}

}  // namespace

Result<ProcessReport> go_process_from_json(const nlohmann::ordered_json& document) {
  std::string error;
  ProcessReport out;
  Members in(document, "", error);
  read_identity(in, out);
  read_census(in, out);
  in.get("gc_cycles", out.gc_cycles);
  in.get("heap_bytes", out.heap_bytes);
  in.entries("stw_pause", out.stw_pause, read_histogram);
  in.entries("stw_stopping", out.stw_stopping, read_histogram);
  in.object("sched_latency", [&](Members& members) { read_histogram(members, out.sched_latency); });
  in.array("pauses", out.pauses, read_pause);
  in.array("cycles", out.cycles, read_cycle);
  in.entries("block", out.block, read_histogram);
  in.object("run_queue", [&](Members& members) { read_histogram(members, out.run_queue); });
  in.get("netpoll_events", out.netpoll_events);
  in.entries("io", out.io, read_histogram);
  in.get("io_errors", out.io_errors);
  in.get("created", out.created);
  in.get("exited", out.exited);
  in.object("probing", [&](Members& members) { read_probing(members, out.probing); });
  if (!error.empty()) return fail(ErrorCode::kInvalid, "not a report of a Go process: " + error);
  return out;
}

}  // namespace mapshift::config
