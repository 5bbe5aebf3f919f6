// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cli/console.h"
#include "cli/options.h"
#include "cli/transport.h"

namespace mapshift::cli {

// Does one command and gives the exit status.
[[nodiscard]] int run_command(const Options& options, Transport& transport, Console& console);

}  // namespace mapshift::cli
