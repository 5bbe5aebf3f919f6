// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "kernel/object_spec.h"
#include "update/schema_diff.h"

namespace mapshift::update {

// The value of a map; of a data section a structure whose members are the variables.
[[nodiscard]] ValueLayout value_layout(const MapSpec& map);

}  // namespace mapshift::update
