// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "base/result.h"
#include "kernel/kernel.h"

namespace mapshift {

// What the dispatcher in `dir` counted of one slot, and making it begin anew. The latter while no event goes to the slot.
[[nodiscard]] Result<SideStats> read_side(const std::string& dir, uint32_t slot);
[[nodiscard]] Status reset_side(const std::string& dir, uint32_t slot);
// Everything of a dispatcher but the link.
[[nodiscard]] Status remove_stub_pins(const std::string& dir);

}  // namespace mapshift
