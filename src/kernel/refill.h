// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "kernel/kernel.h"

namespace mapshift {

// Maps of maps. What user space put into the old one is put into the new one, slot by slot, and followed in both directions at each
// pass. With SyncSpec::inner each inner map has a counterpart of the other side's form that is kept in step with it; without, the
// same inner maps are in both.
//
// Inner maps that the object itself declares are planned on their own: their counterpart is the map of the same name, and nothing
// of them is synchronised here.
//
// In sync_dir: base (outer key -> the ids of both sides' inner maps), and a folder for each pair of inner maps, named by their ids,
// with a pin of both (so that no id is used again while it is remembered) and the base of that pair.
[[nodiscard]] Result<std::unique_ptr<Sync>> open_refill(const SyncSpec& spec, const std::string& map0, const std::string& map1,
                                                        const std::string& sync_dir);

}  // namespace mapshift
