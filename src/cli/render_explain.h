// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "update/record.h"

namespace mapshift::cli {

// The story of an update: what was asked, the plan, each phase with its time, what moved, each objective with its values
// and limit, who decided, and what state is now where. Pure.
[[nodiscard]] std::string render_explain(const update::UpdateRecord& update);

}  // namespace mapshift::cli
