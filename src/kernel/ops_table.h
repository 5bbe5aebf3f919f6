// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "base/result.h"

struct bpf_map;
struct bpf_object;

namespace mapshift {

// Of a loaded object: gives the map of a table of functions (struct_ops) its value in the kernel's layout, with its programs in it, so
// that it only has to be attached. libbpf does this and attaches it in one call, and at once; a new generation must wait.
[[nodiscard]] Status fill_ops_table(const bpf_object* object, const bpf_map* table);

// Null when the object has no such table.
[[nodiscard]] bpf_map* find_ops_table(const bpf_object* object, const std::string& name);

}  // namespace mapshift
