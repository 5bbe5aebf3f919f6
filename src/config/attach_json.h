// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>

#include "config/object_reader.h"
#include "update/manifest.h"

namespace mapshift::config {

using MakeAbsolute = std::function<std::string(const std::string& path)>;

// Reads a program's "attach". Types that this release cannot attach are read as far as their name, for the kernel layer
// to refuse by name; names that are no attach type at all are reported.
[[nodiscard]] update::AttachSpec read_attach(ObjectReader& reader, const MakeAbsolute& absolute);

}  // namespace mapshift::config
