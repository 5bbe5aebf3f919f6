// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace mapshift::cli {

// Cells of tables; "-" for what is not known.
[[nodiscard]] std::string optional_count(const std::optional<uint64_t>& count);
[[nodiscard]] std::string optional_seconds(const std::optional<double>& seconds);
[[nodiscard]] std::string percent(double share);  // "0.42 %"

}  // namespace mapshift::cli
