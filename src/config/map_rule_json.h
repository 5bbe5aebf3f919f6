// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/object_reader.h"
#include "update/manifest.h"

namespace mapshift::config {

// Reads one member of a manifest's "maps".
[[nodiscard]] update::MapRule read_map_rule(ObjectReader& reader);

}  // namespace mapshift::config
