// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "kernel/object_spec.h"
#include "update/manifest.h"
#include "update/plan.h"

namespace mapshift::update {

// Bounds on the analysis. Where one is reached, CodeFacts::gave_up says so and the rest of that program is not seen.
inline constexpr uint64_t kMaxStepsPerProgram = 200'000;
inline constexpr uint64_t kMaxStepsPerObject = 4'000'000;
inline constexpr int kMaxCallDepth = 8;
inline constexpr size_t kMaxAccesses = 100'000;  // of one object

// What the programs of an object do to its maps, found by following their instructions forward from each entry, calls and
// callbacks included. Pure; takes bounded time for any input.
[[nodiscard]] CodeFacts analyse(const ObjectSpec& object);

struct InferredMerge {
  Merge merge = Merge::kLatest;
  std::string reason;   // "atomic add at instruction 42 of count_packets"
  bool atomic = true;   // no store of it is a plain load, change, store
  bool warn = false;    // ambiguous: the author should declare it
  bool locked = false;  // every change of it is made under the value's bpf_spin_lock
  bool clamped = false; // sum: it stops at a limit, which the sum of both sides may pass
};

// What all programs of a generation together do to a map.
struct MapUse {
  bool looks_up = false;
  bool inserts = false, replaces = false;  // by map_update_elem and its like
  bool deletes = false;
  bool in_place = false;       // through the pointer that a lookup returned
  bool reads_value = false;
  bool reads_earlier = false;  // see MapAccess
  bool unseen = false;         // the analysis gave up somewhere: what is false here may be true
  [[nodiscard]] bool written() const { return inserts || replaces || deletes || in_place; }
};
[[nodiscard]] MapUse use_of(const CodeFacts& facts, const std::string& map);

// The name under which facts tell of the maps inside of a map of maps, whichever of them it is.
[[nodiscard]] std::string inner_name(const std::string& outer);

// How a field is merged, from what both generations do to it. Null when neither writes it. `sum` only if every store adds
// or sets the first value of a new entry. Offsets and sizes are bytes in the value of the old and the new map; a size of
// 0 says that the field does not exist on that side.
[[nodiscard]] std::optional<InferredMerge> infer_merge(const CodeFacts& old_facts, const std::string& old_map,
                                                       const CodeFacts& new_facts, const std::string& new_map,
                                                       uint32_t old_offset, uint32_t old_size, uint32_t new_offset,
                                                       uint32_t new_size);

}  // namespace mapshift::update
