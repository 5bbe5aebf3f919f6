// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cli/agent.h"
#include "cli/console.h"
#include "cli/options.h"

namespace mapshift::cli {

// The command "go": all captured processes, or the one that options.target names. Gives the exit status.
[[nodiscard]] int show_go(const Options& options, Agent& agent, Console& console);

}  // namespace mapshift::cli
