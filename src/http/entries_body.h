// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "http/map_service.h"

namespace mapshift::http {

// {"entries": [{"key": "0a000001", "value": "01000000"}, …]}, bytes in hexadecimal. kInvalid with the first hundred of what is wrong.
[[nodiscard]] Result<std::vector<MapEntry>> parse_entries(const std::string& body);
// The document of GET /api/v1/maps/MODULE/MAP, on one line.
[[nodiscard]] std::string contents_text(const MapContents& contents);

[[nodiscard]] std::string replaced_text(const MapName& name, uint64_t version, size_t entries);

}  // namespace mapshift::http
