// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "config/object_reader.h"
#include "slo/objective.h"

namespace mapshift::config {

// Members that say how an objective is measured. `out` holds the defaults.
void read_measuring(ObjectReader& reader, slo::Objective& out);
// The array `name` of objectives, in the spelling of Argo Rollouts. Members that `defaults` sets apply where an objective
// does not say otherwise.
void read_objectives(ObjectReader& reader, std::string_view name, const slo::Objective& defaults,
                     std::vector<slo::Objective>& out);

}  // namespace mapshift::config
