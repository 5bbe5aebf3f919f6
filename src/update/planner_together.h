// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "update/planner.h"

namespace mapshift::update {

// What a module that moves as one, or by a canary, changes in a plan whose programs and maps are planned: every hook behind a
// dispatcher, one turn for all; what is not exact while both generations write.
void plan_together(const GenerationInput& old_side, const GenerationInput& next, Plan& plan);

// Objectives whose counters both generations move during the plan's canary, a warning each: they cannot tell one from the other.
[[nodiscard]] std::vector<Problem> mixed_objectives(const slo::Analysis& analysis, const ObjectSpec& next, const Plan& plan);

}  // namespace mapshift::update
