// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "base/result.h"

namespace mapshift {

// One thing that this host can or cannot do, found by trying: programs of two instructions, maps of one element, no effect.
struct HostFact {
  std::string name;
  bool served = false;
  std::string reason;  // why not; or how, where there is something to say
};

struct HostFacts {
  std::string kernel;  // release
  std::vector<HostFact> attach_types;
  std::vector<HostFact> map_types;
  std::vector<HostFact> change_sources;
  std::vector<HostFact> grace_periods;  // whose end can be awaited
};

// kUnauthorized: this process may not load programs at all, so nothing can be told.
[[nodiscard]] Result<HostFacts> check_host();

}  // namespace mapshift
