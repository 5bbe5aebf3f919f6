// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/object_spec.h"
#include "update/manifest.h"

namespace mapshift::update {

// Gives the maps of `object` that have no type information the types that the manifest names for them, looked up in the BTF of
// the object's file. Returns what does not fit: a type that is not there, of another size than the map's, or a map that says its
// type itself. Reads the file only when the manifest names a type.
[[nodiscard]] std::vector<Problem> apply_declared_types(const Manifest& manifest, const std::string& object_path, ObjectSpec& object);

}  // namespace mapshift::update
