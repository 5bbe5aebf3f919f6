// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "kernel/kernel.h"

namespace mapshift {

// Kernel::open_sync on the running kernel: what keeps maps of these types in step. The folder sync_dir must be there.
[[nodiscard]] Result<std::unique_ptr<Sync>> open_any_sync(const SyncSpec& spec, const std::string& map0, const std::string& map1,
                                                          const std::string& sync_dir);

// Whether open_any_sync() serves such a pair; kUnsupported with the reason where it does not.
[[nodiscard]] Status check_any_sync(const SyncSpec& spec);

}  // namespace mapshift
