// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/result.h"
#include "kernel/attach/type.h"

namespace mapshift {

// Something of this type that every host has, to try it on; without a type when there is none.
[[nodiscard]] Hook sample_hook(const AttachType& type);
// Whether this kernel loads a program for such a hook, and has the hook. Attaches nothing.
[[nodiscard]] Status probe_attach_type(const AttachType& type, const Hook& sample);
// A socket filter, which every kernel takes from whoever may load programs. kUnauthorized when this process may not.
[[nodiscard]] Status may_load_programs();
// `bpf_for_each_map_elem` in a program of the type `syscall`: what the sync engine and scans are made of.
[[nodiscard]] Status try_map_walk();

}  // namespace mapshift
