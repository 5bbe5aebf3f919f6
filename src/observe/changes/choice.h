// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "observe/changes/change.h"

namespace mapshift::observe::changes {

// Whether a source can be had for one map, and the reason when it cannot: one sentence without a full stop.
struct Offer {
  bool available = false;
  std::string why_not = {};
};

struct Choice {
  std::vector<Source> sources = {};  // best first
  bool complete = false;             // every change is seen but for in-place writes, or the last of several
  std::string reason = {};           // for status: "fexit is refused (…); the module logs its own writes, system calls are traced"
};

// Pure. `wanted` empty: the best. kUnsupported: none of the wanted ones can be had; all reasons in `problems`. The event
// sources are told apart from scanning by `mode`: kPull takes kScan alone.
[[nodiscard]] Result<Choice> choose(const std::array<Offer, kSources>& offers, const std::vector<Source>& wanted, Mode mode,
                                    std::optional<bool> programs_write);

}  // namespace mapshift::observe::changes
