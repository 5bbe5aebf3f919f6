// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <vector>

#include "base/result.h"

namespace mapshift {

struct FilterAt {
  uint32_t priority = 0, handle = 0;  // handle 0: the head of its priority
};

// The filters of clsact's `ingress` or egress side at an interface of this thread's network namespace, of any kind. Empty
// without a clsact qdisc.
[[nodiscard]] Result<std::vector<FilterAt>> list_filters(int interface, bool ingress);

}  // namespace mapshift
