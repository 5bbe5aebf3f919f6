// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace mapshift::http {

using Json = nlohmann::ordered_json;

// Parses hostile text: bounded depth, because writing a value out again recurses, and no name twice, because two readers
// would disagree about which one counts. kInvalid.
[[nodiscard]] Result<Json> parse_object(const std::string& body);

}  // namespace mapshift::http
