// SPDX-License-Identifier: Apache-2.0
#include "observe/go/points.h"

#include <algorithm>

namespace mapshift::observe::go {
namespace {

Offsets entry_of(const std::optional<Function>& function) {
  return function && function->entry.offset != 0 ? Offsets{function->entry.offset} : Offsets{};
}

Offsets returns_of(const std::optional<Function>& function) {
  Offsets all;
  if (function) std::ranges::transform(function->returns, std::back_inserter(all), &ProbePoint::offset);
  return all;
}

double cost_at(const std::optional<Function>& function, const ProbeCost& cost) {
  return function && function->entry.emulated ? cost.emulated : cost.stepped;
}

void add_rare(const Binary& binary, Points& points) {
  const auto& start = binary.target(Target::kStartTheWorld);
  const auto& stop = binary.target(Target::kStopTheWorld);
  const int minor = binary.version.minor;
  const bool complete = start && !start->returns.empty() && start->entry.offset != 0 && (minor >= 22 || stop);
  if (complete) {
    points.rare.start_world = entry_of(start);
    points.rare.world_started = returns_of(start);
    if (minor < 22) points.rare.stop_world = entry_of(stop);
    if (minor < 23) points.rare.world_stopped = returns_of(stop);
  } else {
    points.notes.push_back("single stops of the world are not captured: the runtime's functions for them were not found");
  }
  points.rare.gc_start = entry_of(binary.target(Target::kGcStart));
  points.rare.mark_termination = entry_of(binary.target(Target::kGcMarkTermination));
  if (points.rare.mark_termination.empty()) {
    points.notes.push_back("single collections are not captured: runtime.gcMarkTermination was not found");
  }
  if (complete && minor < 21) {
    points.notes.push_back("Go before 1.21 keeps no reason for a stop of the world: only the collector's are told from others");
  }
  if (complete && minor < 22) points.notes.push_back("stops of the world are timed by the probes: Go before 1.22 keeps no times of them");
}

void add_io(const std::optional<Function>& function, ms_go_io operation, const char* name, Points& points) {
  Offsets entry = entry_of(function), returns = returns_of(function);
  if (entry.empty() || returns.empty()) {
    points.notes.push_back(std::string(name) + " is not captured: the program does not have it");
    return;
  }
  points.io.io_entry[operation] = std::move(entry);
  points.io.io_return[operation] = std::move(returns);
}

}  // namespace

Points points_of(const Binary& binary, const ProbeCost& cost) {
  Points points;
  add_rare(binary, points);
  points.rare_cost = cost.stepped;
  points.goroutines.status = entry_of(binary.target(Target::kCasgstatus));
  if (points.goroutines.status.empty()) {
    points.why_no_windows = "runtime.casgstatus was not found";
  } else if (!binary.layout.g_waitreason) {
    points.why_no_windows = "the place of a goroutine's wait reason is not known for " + binary.version.text;
  }
  points.goroutines.netpoll_ready = entry_of(binary.target(Target::kNetpollReady));
  if (points.goroutines.netpoll_ready.empty()) points.notes.push_back("network events are not captured: the program has no network poller");
  const auto &read = binary.target(Target::kFdRead), &write = binary.target(Target::kFdWrite);
  add_io(read, MS_GO_READ, "FD.Read", points);
  add_io(write, MS_GO_WRITE, "FD.Write", points);
  points.hit_cost[MS_GO_HIT_STATUS] = cost_at(binary.target(Target::kCasgstatus), cost);
  points.hit_cost[MS_GO_HIT_NETPOLL] = cost_at(binary.target(Target::kNetpollReady), cost);
  points.hit_cost[MS_GO_HIT_IO_ENTRY] = std::max(cost_at(read, cost), cost_at(write, cost));
  points.hit_cost[MS_GO_HIT_IO_RETURN] = cost.stepped;  // x86 kernels emulate no RET
  return points;
}

}  // namespace mapshift::observe::go
