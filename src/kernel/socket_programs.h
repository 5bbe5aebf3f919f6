// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <set>

#include "kernel/map_holders.h"

namespace mapshift {

// Adds to the holders of these maps the programs which sockets still run, and which use one of the maps: verdicts on what they send or
// receive, and functions of a congestion control. They go on after whoever attached them detached them. A holder's pid is 0 then,
// and its name says which program. Bounded.
void add_socket_programs(const std::set<uint32_t>& ids, MapHolders& holders);

// map_holders() and these.
[[nodiscard]] MapHolders find_map_holders(const std::set<uint32_t>& ids);

}  // namespace mapshift
