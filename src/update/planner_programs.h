// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "update/planner.h"

namespace mapshift::update {

// Plans what happens at each hook, in swap order: swapped and new programs by the order of their maps, then those that
// go, then those that never attach.
void plan_programs(const GenerationInput& old_side, const GenerationInput& next, const PlannerEnvironment& env, Plan& plan);

// In words: "the interface changed from eth0 to eth1".
[[nodiscard]] std::string attach_difference(const AttachSpec& before, const AttachSpec& after);

}  // namespace mapshift::update
