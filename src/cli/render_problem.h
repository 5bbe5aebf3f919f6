// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "cli/agent.h"

namespace mapshift::cli {

// A problem document (RFC 9457) for people: title, detail, and everything in `errors` that the detail does not say already.
[[nodiscard]] std::string render_problem(const Json& document);

}  // namespace mapshift::cli
