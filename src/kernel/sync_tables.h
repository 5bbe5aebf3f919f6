// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "base/result.h"
#include "kernel/sync_spec.h"

struct sync_bpf;  // the skeleton

namespace mapshift {

[[nodiscard]] inline uint32_t round8(uint32_t size) { return (size + 7) / 8 * 8; }

[[nodiscard]] inline uint32_t key_size1(const SyncSpec& spec) { return spec.key_size1 == 0 ? spec.key_size : spec.key_size1; }

// What side 0 is reconciled as: with a transform the old value's image in the new layout.
[[nodiscard]] inline uint32_t image_size0(const SyncSpec& spec) { return spec.transform ? spec.value_size1 : spec.value_size0; }

// What base holds for one CPU: 8 bytes of state, and the value of each side.
[[nodiscard]] inline uint32_t slot_size(const SyncSpec& spec) { return 8 + round8(image_size0(spec)) + round8(spec.value_size1); }

// Its values cannot be worked on where they are.
[[nodiscard]] inline bool is_staged(const SyncSpec& spec) { return spec.lock0 >= 0 || spec.lock1 >= 0 || spec.transform; }

// Everything that the engine takes for granted about a spec; kUnsupported where a map is beyond it, kInternal where the
// plan is wrong.
[[nodiscard]] Status check_sync_spec(const SyncSpec& spec);
// Before load: what specialises the programs.
void fill_sync_tables(sync_bpf& skeleton, const SyncSpec& spec, uint32_t cpus, uint32_t hot_half);
// After load: what a key that the engine creates on side 1 holds where side 0 has no field, and what a transform begins with.
[[nodiscard]] Status fill_sync_defaults(const sync_bpf& skeleton, const SyncSpec& spec, uint32_t cpus);

}  // namespace mapshift
