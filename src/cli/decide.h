// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cli/agent.h"
#include "cli/console.h"
#include "cli/options.h"

namespace mapshift::cli {

// rollback, commit and abort: end the module's running update and see it end. kDone when it ended as asked.
[[nodiscard]] int decide(const Options& options, Agent& agent, Console& console);

}  // namespace mapshift::cli
