// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>

#include "base/result.h"
#include "kernel/sync_spec.h"

struct sync_bpf;  // the skeleton

namespace mapshift {

struct SyncSkeletonDeleter {
  void operator()(sync_bpf* skeleton) const;
};
using SyncSkeleton = std::unique_ptr<sync_bpf, SyncSkeletonDeleter>;

// What a sync works on. Descriptors of the caller's.
struct SyncMaps {
  int side0, side1, base;
  int queue;             // of keys that a handler brings, or -1
  uint32_t queue_shift;  // its size, in powers of two
  int second = -1;       // a second old map that a conversion looks at, or -1
};

// Whether maps are walked by an iterator, in slices.
[[nodiscard]] bool in_slices(const SyncSpec& spec);
// The engine's program, made for one pair of maps and loaded; with the functions that convert values linked in, where the spec
// names some. kInvalid with the verifier's words in Error::context where the kernel refuses those.
// Without `may_sleep` no program is of a kind that may, for such take no lock before Linux 6.6.
[[nodiscard]] Result<SyncSkeleton> load_sync_program(const SyncSpec& spec, uint32_t cpus, const SyncMaps& maps, bool may_sleep);

}  // namespace mapshift
