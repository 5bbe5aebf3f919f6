// SPDX-License-Identifier: Apache-2.0
#include "update/merge/merge_policy.h"

namespace mapshift::update {

constinit const MergePolicy kLatestPolicy = {
    .merge = Merge::kLatest,
    .op = SyncOp::kLatest,
    .name = "latest",
    .help = "the side that changed wins; when both did, the active generation does: states, timestamps",
    .unfit = [](const MergeSite&) -> std::optional<std::string> { return std::nullopt; },
    .needs_atomic = false,
};

}  // namespace mapshift::update
