// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "alerts/alert.h"
#include "base/result.h"

namespace mapshift::http {

// What fires at the Alertmanager at `url` now and is for this agent: alerts that ask for a rollback, and the watchdog.
// Silenced and inhibited ones are left out: somebody decided that they do not count. Blocks for 2 s at most.
// Errors: kUnavailable, kInvalid for an answer that is none of Alertmanager's, kTooLarge. Thread-safe.
[[nodiscard]] Result<std::vector<alerts::Alert>> active_alerts(const std::string& url);

}  // namespace mapshift::http
