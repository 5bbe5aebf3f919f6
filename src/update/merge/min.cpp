// SPDX-License-Identifier: Apache-2.0
#include "update/merge/merge_policy.h"

namespace mapshift::update {

constinit const MergePolicy kMinPolicy = {
    .merge = Merge::kMin,
    .op = SyncOp::kMin,
    .name = "min",
    .help = "both sides take the smaller value; a value that rose was reset, and the reset wins: best times",
    .unfit = unfit_for_atomics,
    .needs_atomic = true,
};

}  // namespace mapshift::update
