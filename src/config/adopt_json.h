// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>

#include "update/manifest.h"

namespace mapshift::config {

// What stands for the object of a module that was adopted without its object file: no file has this name.
inline constexpr const char* kNoObject = "/(adopted: no object file)";

// A manifest for programs that run already, to be parsed like any other.
[[nodiscard]] std::string adopted_manifest_text(const std::string& name, const std::string& version,
                                                const std::map<std::string, update::AttachSpec>& attach);

}  // namespace mapshift::config
