// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

struct bpf_object;

namespace mapshift {

// One object file of two: `engine`, whose global functions and variables are renamed by the prefix kEnginePrefix so that none
// meets one of the author's, and the object at `path`. `bound` names those of the engine's weak functions that a function of
// the other object takes the place of. kInvalid where the object has no such function, with the linker's words else.
inline constexpr const char* kEnginePrefix = "ms_sync_";
[[nodiscard]] Result<std::vector<std::byte>> link_with_engine(std::span<const std::byte> engine, const std::string& path,
                                                              const std::map<std::string, std::string>& bound);
// Of an object made of such a file: nothing of the author's is loaded but what the engine's programs call.
void load_engine_only(bpf_object& object);

}  // namespace mapshift
