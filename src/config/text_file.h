// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <string>

#include "base/result.h"

namespace mapshift::config {

// A whole regular file of at most `limit` bytes. kNotFound, kInvalid (a folder, a device), kTooLarge, kKernel.
[[nodiscard]] Result<std::string> read_text_file(const std::string& path, size_t limit);

}  // namespace mapshift::config
