// SPDX-License-Identifier: Apache-2.0
#include "observe/go/points.h"

#include <algorithm>

namespace mapshift::observe::go {
namespace {

bool has_entry(const std::optional<Function>& function) { return function && function->entry.offset != 0; }

void add_entry(const std::optional<Function>& function, ms_go_place place, Places& places) {
  if (has_entry(function)) places.push_back({function->entry.offset, place});
}

void add_returns(const std::optional<Function>& function, ms_go_place place, Places& places) {
  if (!function) return;
  for (const ProbePoint& point : function->returns) places.push_back({point.offset, place});
}

double cost_at(const std::optional<Function>& function, const ProbeCost& cost) {
  return function && function->entry.emulated ? cost.emulated : cost.stepped;
}

void add_rare(const Binary& binary, Points& points) {
  const auto& start = binary.target(Target::kStartTheWorld);
  const auto& stop = binary.target(Target::kStopTheWorld);
  const int minor = binary.version.minor;
  const bool complete = has_entry(start) && !start->returns.empty() && (minor >= 22 || has_entry(stop));
  if (complete) {
    add_entry(start, MS_GO_AT_START_WORLD, points.rare);
    add_returns(start, MS_GO_AT_WORLD_STARTED, points.rare);
    if (minor < 22) add_entry(stop, MS_GO_AT_STOP_WORLD, points.rare);
    if (minor < 23) add_returns(stop, MS_GO_AT_WORLD_STOPPED, points.rare);
  } else {
    points.notes.push_back("single stops of the world are not captured: the runtime's functions for them were not found");
  }
  add_entry(binary.target(Target::kGcStart), MS_GO_AT_GC_START, points.rare);
  add_entry(binary.target(Target::kGcMarkTermination), MS_GO_AT_MARK_TERMINATION, points.rare);
  if (!has_entry(binary.target(Target::kGcMarkTermination))) {
    points.notes.push_back("single collections are not captured: runtime.gcMarkTermination was not found");
  }
  if (complete && minor < 21) {
    points.notes.push_back("Go before 1.21 keeps no reason for a stop of the world: only the collector's are told from others");
  }
  if (complete && minor < 22) points.notes.push_back("stops of the world are timed by the probes: Go before 1.22 keeps no times of them");
}

void add_io(const std::optional<Function>& function, ms_go_place entry, ms_go_place returns, const char* name, Points& points) {
  if (!has_entry(function) || function->returns.empty()) {
    points.notes.push_back(std::string(name) + " is not captured: the program does not have it");
    return;
  }
  add_entry(function, entry, points.io);
  add_returns(function, returns, points.io);
}

}  // namespace

Points points_of(const Binary& binary, const ProbeCost& cost) {
  Points points;
  add_rare(binary, points);
  points.rare_cost = cost.stepped;
  add_entry(binary.target(Target::kCasgstatus), MS_GO_AT_STATUS, points.goroutines);
  if (points.goroutines.empty()) {
    points.why_no_windows = "runtime.casgstatus was not found";
  } else if (!binary.layout.g_waitreason) {
    points.why_no_windows = "the place of a goroutine's wait reason is not known for " + binary.version.text;
  }
  const auto& netpoll = binary.target(Target::kNetpollReady);
  add_entry(netpoll, MS_GO_AT_NETPOLL_READY, points.goroutines);
  if (!has_entry(netpoll)) points.notes.push_back("network events are not captured: the program has no network poller");
  const auto &read = binary.target(Target::kFdRead), &write = binary.target(Target::kFdWrite);
  add_io(read, MS_GO_AT_READ, MS_GO_AT_READ_RETURN, "FD.Read", points);
  add_io(write, MS_GO_AT_WRITE, MS_GO_AT_WRITE_RETURN, "FD.Write", points);
  points.hit_cost[MS_GO_HIT_STATUS] = cost_at(binary.target(Target::kCasgstatus), cost);
  points.hit_cost[MS_GO_HIT_NETPOLL] = cost_at(netpoll, cost);
  points.hit_cost[MS_GO_HIT_IO_ENTRY] = std::max(cost_at(read, cost), cost_at(write, cost));
  points.hit_cost[MS_GO_HIT_IO_RETURN] = cost.stepped;  // x86 kernels emulate no RET
  return points;
}

}  // namespace mapshift::observe::go
