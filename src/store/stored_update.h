// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "store/database.h"
#include "store/rows.h"

namespace mapshift::store {

// Updates with their phases and measurements. `where`: the rest of the statement, with one parameter.
[[nodiscard]] Result<std::vector<StoredUpdate>> read_updates(Database& database, std::string_view where,
                                                             const std::string& parameter,
                                                             size_t limit);
// Newest first, without measurements, which are what takes time.
[[nodiscard]] Result<std::vector<update::UpdateRecord>> read_heads(Database& database, const std::string& module, size_t limit);
[[nodiscard]] Status write_measurement(Database& database, const std::string& update_id, const slo::Measurement& measurement);

}  // namespace mapshift::store
