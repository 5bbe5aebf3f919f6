// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "base/result.h"
#include "kernel/kernel.h"

namespace mapshift {

// Kernel::open_sync on the running kernel. The two maps are named by their pins; the base is created and pinned as
// sync_dir/base, or continued when it is there. kInvalid when a map does not have the sizes that the spec names.
[[nodiscard]] Result<std::unique_ptr<Sync>> open_linux_sync(const SyncSpec& spec, const std::string& map0,
                                                            const std::string& map1, const std::string& sync_dir);
// Bytes that one entry of the base takes, without the kernel's own overhead.
[[nodiscard]] uint32_t base_value_size(const SyncSpec& spec, uint32_t possible_cpus);

}  // namespace mapshift
