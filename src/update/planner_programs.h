// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "update/planner.h"

namespace mapshift::update {

// Plans what happens at each hook, in swap order: swapped and new programs by the order of their maps, then those that
// go, then those that never attach.
void plan_programs(const GenerationInput& old_side, const GenerationInput& next, const PlannerEnvironment& env, Plan& plan);

// An update that a former agent began is planned once more by the next one, on a host that may have changed since: what its
// record says of how each program moves stands.
void keep_swaps(const UpdateRecord& record, Plan& plan);

// In words: "the interface changed from eth0 to eth1".
[[nodiscard]] std::string attach_difference(const AttachSpec& before, const AttachSpec& after);

}  // namespace mapshift::update
