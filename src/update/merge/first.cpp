// SPDX-License-Identifier: Apache-2.0
#include "update/merge/merge_policy.h"

namespace mapshift::update {

constinit const MergePolicy kFirstPolicy = {
    .merge = Merge::kFirst,
    .op = SyncOp::kFirst,
    .name = "first",
    .help = "written only when the key is created, by the side that created it: start times",
    .unfit = [](const MergeSite&) -> std::optional<std::string> { return std::nullopt; },
    .needs_atomic = false,
};

}  // namespace mapshift::update
