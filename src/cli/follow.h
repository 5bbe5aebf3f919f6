// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>

#include "cli/agent.h"
#include "cli/console.h"

namespace mapshift::cli {

struct FollowLimits {
  std::chrono::milliseconds patience = std::chrono::seconds(30);  // with an agent that does not answer: it may be starting again
  std::chrono::milliseconds pause = std::chrono::milliseconds(500);    // between two tries
  std::chrono::milliseconds at_most = std::chrono::milliseconds::max();  // in all; then the record as it is comes back
};

// Follows an update from `document` (its record) to its end, with a line on stderr for each change.
[[nodiscard]] Answer<Json> follow(Agent& agent, Json document, Console& console, const FollowLimits& limits = {});

}  // namespace mapshift::cli
