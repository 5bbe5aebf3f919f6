// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "observe/changes/module_rings.h"
#include "observe/changes/stream.h"

namespace mapshift::metrics {

// flowmeter/flows by system calls: 3 inserts, 2 lost, each in 2 ms.
inline observe::changes::Stats one_followed_map() {
  using namespace observe::changes;
  Stats stats;
  MapReport& map = stats.maps.emplace_back();
  map.name = {"flowmeter", "flows"};
  map.choice.sources = {Source::kSyscall};
  map.seen[0][2] = 3;
  map.lost = 2;
  map.lost_by = {{"ring_full", 1}};
  stats.latency[2] = {{0.001, 0.01}, {0, 3, 0}, 0.006};
  stats.subscribers = 4;
  stats.resyncs = 1;
  return stats;
}

}  // namespace mapshift::metrics
