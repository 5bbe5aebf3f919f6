// SPDX-License-Identifier: Apache-2.0
#include "update/merge/merge_policy.h"

namespace mapshift::update {

constinit const MergePolicy kMaxPolicy = {
    .merge = Merge::kMax,
    .op = SyncOp::kMax,
    .name = "max",
    .help = "both sides take the greater value; a value that fell was reset, and the reset wins: peaks",
    .unfit = unfit_for_atomics,
    .needs_atomic = true,
};

}  // namespace mapshift::update
