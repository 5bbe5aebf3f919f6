// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "kernel/sync_spec.h"
#include "update/schema_diff_layout.h"

namespace mapshift::update {

// One field that exists on both sides, and how it is to be merged.
struct FieldPair {
  const Field* old_field = nullptr;
  const Field* new_field = nullptr;
  Merge merge = Merge::kLatest;
  uint32_t old_value_size = 0, new_value_size = 0;
};

// What the engine does for it. `ops` is empty when `refusal` says why it cannot.
struct FieldOps {
  std::vector<SyncField> ops = {};  // without group
  SyncRemap remap = {};          // enums whose values moved; the caller numbers it into the ops
  std::string change = {};       // for people: "widened u32 to u64"; empty when nothing but the place changed
  std::string lossy = {};        // what may be lost, or empty
  std::string inexact = {};      // why the conversion is not exact, or empty
  std::string late = {};         // why a late change cannot be written in place, unless values have a lock; or empty
  std::string warning = {};
  std::string refusal_code = {}, refusal = {};
};

[[nodiscard]] FieldOps make_field_ops(const FieldPair& pair);

// What a new field holds in keys that the engine creates: every element of it, unless it is 0.
struct DefaultOps {
  std::vector<SyncDefault> defaults = {};
  std::string refusal = {};
};
[[nodiscard]] DefaultOps make_defaults(const Field& field, int64_t value);

// Where the elements lie that both fields have.
[[nodiscard]] std::vector<std::pair<uint32_t, uint32_t>> element_offsets(const Field& old_field, const Field& new_field);

// Why the merge cannot be used for this pair; empty when it can.
[[nodiscard]] std::string merge_unfit(const FieldPair& pair);

// Values that moved between two enumerations, by name. A problem when names and values contradict each other.
struct EnumMatch {
  SyncRemap remap = {};
  std::string problem = {}, warning = {};
};
[[nodiscard]] EnumMatch match_enums(const Type& old_enum, const Type& new_enum);

}  // namespace mapshift::update
