// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "base/result.h"
#include "update/kept_map.h"

namespace mapshift::store {

// A kept map as one line of JSON, with all that its synchronisation needs: who reads it back goes on with the same base, so
// it must be the same to the last field.
[[nodiscard]] std::string to_text(const update::KeptMap& map);
// kInvalid for anything that to_text() did not write. Never throws.
[[nodiscard]] Result<update::KeptMap> kept_map_from(const std::string& text);

}  // namespace mapshift::store
