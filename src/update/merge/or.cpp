// SPDX-License-Identifier: Apache-2.0
#include "update/merge/merge_policy.h"

namespace mapshift::update {

constinit const MergePolicy kOrPolicy = {
    .merge = Merge::kOr,
    .op = SyncOp::kOr,
    .name = "or",
    .help = "both sides take the union of the bits; lost bits were reset, and the reset wins: flags seen",
    .unfit = unfit_for_atomics,
    .needs_atomic = true,
};

}  // namespace mapshift::update
