// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <nlohmann/json.hpp>

#include "config/json_members.h"
#include "update/record.h"

namespace mapshift::config {

// The part of an update's document that says how its hooks move: "swap", "canary", "comparison".
void put_moving(nlohmann::ordered_json& out, const update::UpdateRecord& record);
void read_moving(Members& in, update::UpdateRecord& out);

}  // namespace mapshift::config
