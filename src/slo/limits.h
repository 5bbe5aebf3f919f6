// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>

#include "slo/objective.h"

namespace mapshift::slo {

// What can be said of a limit before anything is measured; each answer is a sentence about the objective, or nothing. Pure.

// No value that the indicator can have passes: the update could only be rolled back.
[[nodiscard]] std::optional<std::string> impossible(const Objective& objective);
// No value that the indicator can have fails: the objective judges nothing.
[[nodiscard]] std::optional<std::string> toothless(const Objective& objective);
// The bake ends before the first value can be known: the update would be held at its end for want of a measurement.
[[nodiscard]] std::optional<std::string> too_late(const Objective& objective, const Analysis& analysis);

}  // namespace mapshift::slo
