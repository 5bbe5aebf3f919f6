// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string_view>

#include "base/result.h"
#include "update/manifest.h"

namespace mapshift::update {

// Where a program attaches, as far as its section's name tells ("tp/sched/sched_switch"). Nothing: it is not attached by
// itself, as a tail-call target, a "syscall" or an "iter/…" program. kInvalid when it must be attached but the name does
// not say where: the message says what "attach" of the manifest has to hold.
[[nodiscard]] Result<std::optional<AttachSpec>> attach_from_section(std::string_view section);

}  // namespace mapshift::update
