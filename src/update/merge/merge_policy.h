// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kernel/sync_spec.h"
#include "update/manifest.h"

namespace mapshift::update {

// One element of a field on one side, as far as a merge policy cares.
struct MergeSite {
  bool integer = false;      // an integer, bool or enum of 1, 2, 4 or 8 bytes
  bool enumeration = false;  // of those, an enum
  uint32_t offset = 0, size = 0;
  uint32_t value_size = 0;
};

// How the two values of a field become one. To add a policy: one file here, one line in table.cpp, one in SyncOp.
struct MergePolicy {
  Merge merge;
  SyncOp op;
  std::string_view name;  // as in the manifest and in MS_NAME
  std::string_view help;
  // Why the field cannot be merged this way; nullopt when it can.
  std::optional<std::string> (*unfit)(const MergeSite& site);
  // A program that loads, changes and stores the field can overwrite what the engine has just written to it.
  bool needs_atomic;
};

extern const MergePolicy kSumPolicy, kLatestPolicy, kMaxPolicy, kMinPolicy, kOrPolicy, kFirstPolicy;

[[nodiscard]] std::span<const MergePolicy* const> merge_policies();
[[nodiscard]] const MergePolicy& policy_of(Merge merge);
[[nodiscard]] const MergePolicy* find_policy(std::string_view name);

// What in-place merging asks of a place: an aligned integer which one compare-and-swap of 4 or 8 bytes can reach. Fields of 1
// and 2 bytes are swapped together with the aligned word around them, so that word has to lie within the value.
[[nodiscard]] std::optional<std::string> unfit_for_atomics(const MergeSite& site);
[[nodiscard]] bool word_fits(const MergeSite& site);

}  // namespace mapshift::update
