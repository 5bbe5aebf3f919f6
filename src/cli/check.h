// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cli/console.h"
#include "cli/options.h"

namespace mapshift::cli {

// Validate a file without an agent: kDone or kFailed.
[[nodiscard]] int check_config(const Options& options, Console& console);
[[nodiscard]] int check_module(const Options& options, Console& console);

}  // namespace mapshift::cli
