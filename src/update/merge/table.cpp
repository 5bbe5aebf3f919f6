// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>

#include "update/merge/merge_policy.h"

namespace mapshift::update {

namespace {
constexpr std::array<const MergePolicy*, 6> kPolicies = {
    &kSumPolicy, &kLatestPolicy, &kMaxPolicy, &kMinPolicy, &kOrPolicy, &kFirstPolicy,
};
}  // namespace

std::span<const MergePolicy* const> merge_policies() { return kPolicies; }

const MergePolicy& policy_of(Merge merge) {
  for (const MergePolicy* policy : kPolicies)
    if (policy->merge == merge) return *policy;
  return kLatestPolicy;
}

const MergePolicy* find_policy(std::string_view name) {
  for (const MergePolicy* policy : kPolicies)
    if (policy->name == name) return policy;
  return nullptr;
}

bool word_fits(const MergeSite& site) { return site.size >= 4 || (site.offset & ~3U) + 4 <= site.value_size; }

std::optional<std::string> unfit_for_atomics(const MergeSite& site) {
  if (!site.integer) return "it is not an integer";
  if (site.offset % site.size != 0)
    return fmt::format("it lies at byte {}, which is not aligned to its {} bytes", site.offset, site.size);
  if (!word_fits(site))
    return fmt::format("its {} byte{} at {} can only be changed with the aligned 4 bytes around, which reach beyond the value's {}",
                       site.size, site.size == 1 ? "" : "s", site.offset, site.value_size);
  return std::nullopt;
}

}  // namespace mapshift::update
