// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string_view>

#include "base/result.h"
#include "update/manifest.h"

namespace mapshift::update {

// attach_from_section() for programs that trace: `prefix` and `target` are what stands before and after the first slash.
[[nodiscard]] Result<std::optional<AttachSpec>> attach_from_trace_section(std::string_view prefix, std::string_view section,
                                                                          std::string_view target);

}  // namespace mapshift::update
