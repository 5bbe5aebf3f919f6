// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "update/record.h"

namespace mapshift::config {

// The documents of the API, the command line and the store, members in the order that people read. Bytes that are not
// UTF-8 are replaced, so dump() of what comes back does not throw; numbers that are not finite become null.
[[nodiscard]] nlohmann::ordered_json to_json(const Problem& problem);
[[nodiscard]] nlohmann::ordered_json to_json(const update::UpdateRecord& record);
[[nodiscard]] nlohmann::ordered_json to_json(const update::ModuleRecord& record);

// Members that are absent keep their default and unknown ones are passed over, so that a record of another release can
// be read; a wrong type or an unknown state is kInvalid. Never throws.
[[nodiscard]] Result<update::UpdateRecord> update_from_json(const nlohmann::ordered_json& document);
[[nodiscard]] Result<update::UpdateRecord> update_from_json(const nlohmann::json& document);
[[nodiscard]] Result<update::ModuleRecord> module_from_json(const nlohmann::ordered_json& document);

}  // namespace mapshift::config
