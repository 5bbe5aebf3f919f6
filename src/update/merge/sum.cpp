// SPDX-License-Identifier: Apache-2.0
#include "update/merge/merge_policy.h"

namespace mapshift::update {

namespace {
std::optional<std::string> unfit(const MergeSite& site) {
  if (site.enumeration) return "an enumeration does not add up";
  return unfit_for_atomics(site);
}
}  // namespace

constinit const MergePolicy kSumPolicy = {
    .merge = Merge::kSum,
    .op = SyncOp::kSum,
    .name = "sum",
    .help = "what each side added since the last visit is added to the other: counters",
    .unfit = unfit,
    .needs_atomic = true,
};

}  // namespace mapshift::update
