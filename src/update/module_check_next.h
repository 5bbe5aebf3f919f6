// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "base/result.h"
#include "kernel/object_spec.h"
#include "update/manifest.h"

namespace mapshift::update {

// What will make the next version of this module harder to reach than it has to be: said now, while it costs a line in the
// source. Pure and bounded.
[[nodiscard]] std::vector<Problem> check_next_version(const Manifest& manifest, const ObjectSpec& object);

// Bytes of a type that belong to none of its members, by the path of what lies before them: "flow: 4 bytes after state".
[[nodiscard]] std::vector<std::string> holes_in(const TypeRef& type);

}  // namespace mapshift::update
