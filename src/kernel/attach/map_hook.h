// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "kernel/attach/hook.h"

namespace mapshift {

// Hooks at a map of the module: verdicts on sockets, iterators over elements. The map is that of the program's own generation.

// `hook` with the map's pin in place of its name; unchanged when it names none. `program`: a pin.
[[nodiscard]] Hook with_map_pin(const Hook& hook, const std::string& program);
// A link keeps its map when its program is replaced. Where the generations have different maps, an iterator gets another link, by one
// rename of the pin (who reads the old one reads it to its end); everything else is refused: the map's sockets would stay behind.
[[nodiscard]] Result<SwapReport> swap_at_map(const AttachType& type, const Hook& hook, const std::string& hook_dir,
    const Program& from,
                                             const Program& to);

}  // namespace mapshift
