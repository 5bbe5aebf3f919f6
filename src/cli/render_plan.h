// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "update/record.h"

namespace mapshift::cli {

// Pure: a record in, text for people out.
[[nodiscard]] std::string render_plan(const update::UpdateRecord& plan);

// Parts that the story of an update shows as well.
// "a, b, c", and how many more where there are many.
[[nodiscard]] std::string some_of(const std::vector<std::string>& names);
[[nodiscard]] std::string render_generations(
    const update::UpdateRecord& record);  // "1.0.0 (generation 1) -> 2.0.0 (generation 2)"
[[nodiscard]] std::string render_planned_maps(const update::UpdateRecord& record);
[[nodiscard]] std::string render_planned_programs(const update::UpdateRecord& record);
[[nodiscard]] std::string render_problems(const std::string& heading, const std::vector<Problem>& problems);

}  // namespace mapshift::cli
