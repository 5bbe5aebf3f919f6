// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "update/record.h"

namespace mapshift::cli {

// How an update's hooks move, for people; empty when there is nothing to say. Pure.
[[nodiscard]] std::string render_canary_plan(const update::UpdateRecord& record);  // "Canary: 5 %, 25 % of events at random, ..."
[[nodiscard]] std::string render_canary_now(const update::UpdateRecord& record);   // "canary 2 of 3, 25 % of flows"
[[nodiscard]] std::string render_comparison(const update::UpdateRecord& record);   // a table

}  // namespace mapshift::cli
