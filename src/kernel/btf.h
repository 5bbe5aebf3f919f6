// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/result.h"
#include "kernel/object_spec.h"

namespace mapshift {

// The layout of a running map; key and value are null when it has no BTF.
[[nodiscard]] Result<MapSpec> map_spec_from_fd(int map_fd);

}  // namespace mapshift
