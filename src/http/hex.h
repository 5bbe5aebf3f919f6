// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mapshift::http {

// Keys and values in documents: two lower case digits a byte, in the order of memory.
[[nodiscard]] std::string to_hex(const std::vector<std::byte>& bytes);
[[nodiscard]] std::optional<std::vector<std::byte>> from_hex(std::string_view text);

}  // namespace mapshift::http
