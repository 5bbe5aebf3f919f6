// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"

namespace mapshift {

inline constexpr size_t kMaxFileBytes = 64u << 20;

// The whole file, at most kMaxFileBytes: read once, so that what was checked is what is loaded.
[[nodiscard]] Result<std::vector<std::byte>> read_file_bytes(const std::string& path);
[[nodiscard]] std::string sha256_hex(const std::vector<std::byte>& bytes);

}  // namespace mapshift
