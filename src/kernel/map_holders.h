// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace mapshift {

struct MapHolder {
  int pid = 0;
  std::string comm;  // as the process calls itself: any bytes but control characters
};

struct MapHolders {
  std::map<uint32_t, std::vector<MapHolder>> by_map;  // by the kernel's id of the map
  bool complete = true;  // false: not every process could be looked at, so that who is missing here may hold one all the same
};

// Which other processes have a descriptor of one of these maps, from /proc. Not seen: who has mapped a map's memory and closed
// the descriptor, descriptors that are on their way through a socket, and processes of other PID namespaces that this one
// cannot see. Bounded; takes milliseconds on a host with hundreds of processes. `proc` is for tests.
[[nodiscard]] MapHolders map_holders(const std::set<uint32_t>& ids, const std::string& proc = "/proc");

}  // namespace mapshift
