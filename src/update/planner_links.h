// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "update/plan.h"

namespace mapshift::update {

// Whether sockets that are there at a swap go on with the old generation: connections keep the congestion control's functions that
// they began with, and sockets in a map the verdicts that the map had when they were put into it.
[[nodiscard]] bool sockets_stay(const AttachSpec& attach);
// Whether a swap of the plan leaves such sockets behind, so that both generations run for as long as they are open.
[[nodiscard]] bool leaves_sockets(const Plan& plan);

// What hooks at a map, and hooks where sockets stay, mean for the plan. After maps and programs are planned.
void plan_links(const GenerationInput& next, Plan& plan);

}  // namespace mapshift::update
