// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cli/console.h"
#include "cli/options.h"

namespace mapshift::cli {

// `mapshift changes MODULE/MAP [--since SEQ] [--follow]`. Without --follow: what there is after SEQ, as far as the agent still
// knows it, then the end. With it: goes on, connects again when the agent was restarted, and resumes after the last event.
[[nodiscard]] int changes(const Options& options, Transport& transport, Console& console);

}  // namespace mapshift::cli
