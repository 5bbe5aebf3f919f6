// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string_view>

namespace mapshift::slo {

// "XDP_DROP", "TC_ACT_SHOT", "TCX_DROP", "SK_DROP", or a number from -1 to 13: those that dispatchers count one by one.
[[nodiscard]] std::optional<int> return_code(std::string_view text);

}  // namespace mapshift::slo
