// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "update/record.h"

namespace mapshift::cli {

// Scripts branch on these: they never change.
enum ExitStatus : int {
  kDone = 0,
  kFailed = 1,       // refused, invalid or failed: what ran, runs untouched
  kUsage = 2,
  kRolledBack = 3,
  kUnreachable = 4,  // no agent answered
};

// What an update that was followed to its end means.
[[nodiscard]] inline ExitStatus exit_status(update::State state) {
  if (state == update::State::kCommitted) return kDone;
  return state == update::State::kRolledBack ? kRolledBack : kFailed;
}

}  // namespace mapshift::cli
