// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"

namespace mapshift {

struct MapElement {
  std::vector<std::byte> key, value;
};

// All elements of the map pinned at `pin`, or of the map in its only slot when it is a map of maps with one. A key that is there
// throughout comes exactly once; of one that is written meanwhile either value. Per-CPU values are concatenated, each rounded
// up to 8 bytes. kTooLarge beyond `limit` bytes of keys and values, kUnsupported for a type that has no elements.
[[nodiscard]] Result<std::vector<MapElement>> read_contents(const std::string& pin, size_t limit);

// Whether replace_contents() can do that map at all. kRefused with the reason.
[[nodiscard]] Status check_replaceable(const std::string& pin);
// Puts a new map with these elements into the only slot of the map of maps at `pin`: programs see all of the old contents or all
// of the new. Returns when no program of a kind that cannot sleep uses the old one any more. kRefused when that is no such map,
// kInvalid with all elements that do not fit.
[[nodiscard]] Status replace_contents(const std::string& pin, const std::vector<MapElement>& elements);

}  // namespace mapshift
