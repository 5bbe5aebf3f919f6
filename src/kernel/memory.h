// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

namespace mapshift {

// Bytes that this process can still allocate: what the host has available, or what its memory cgroups leave, if less.
// BPF maps are charged to the cgroup of the process that creates them. `root` is "" but in tests.
[[nodiscard]] uint64_t available_memory_below(const std::string& root);

}  // namespace mapshift
