// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>

#include "base/result.h"
#include "update/manifest.h"

namespace mapshift::config {

using SetValues = std::map<std::string, std::string>;  // --set NAME=value

// Reads a module manifest from outside. Paths are relative to `dir`, which must be absolute; `file_name` is for messages.
// kInvalid with all that is wrong, each with its line; kTooLarge. Reads no file: the object may be missing.
// The result's `text` reads back to the same manifest, from any folder and with no values set.
[[nodiscard]] Result<update::Manifest> parse_manifest(const std::string& text, const std::string& dir, const SetValues& set,
                                                      const std::string& file_name);
// As above; also kNotFound and kKernel for the file.
[[nodiscard]] Result<update::Manifest> load_manifest(const std::string& path, const SetValues& set);

}  // namespace mapshift::config
