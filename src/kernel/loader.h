// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "kernel/kernel.h"

namespace mapshift {

// Kernel::load. Everything is pinned or nothing is; stateless.
[[nodiscard]] Result<LoadReport> load_generation(const LoadRequest& request);

}  // namespace mapshift
