// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "cli/console.h"
#include "kernel/host_check.h"

namespace mapshift::cli {

// Tries what this host serves: kDone, or kFailed when this process may not try.
[[nodiscard]] int check_host(Console& console);
[[nodiscard]] std::string render_host(const HostFacts& facts);
[[nodiscard]] Json host_json(const HostFacts& facts);

}  // namespace mapshift::cli
