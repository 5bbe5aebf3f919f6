// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string_view>

#include "base/result.h"
#include "update/manifest.h"

namespace mapshift::update {

// attach_from_section() for hooks of the network and of cgroups: `prefix` is what stands before the section's first slash,
// `target` what follows it. Absent: the section is none of these.
[[nodiscard]] Result<std::optional<AttachSpec>> attach_from_net_section(std::string_view prefix, std::string_view section, std::string_view target);

}  // namespace mapshift::update
