// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "update/plan.h"

namespace mapshift::update {

struct ProgramOrder {
  std::string name;
  int order = 0;       // 1 first; programs that must move together share one
  std::string reason;  // in words: "reads stats, which count_packets writes"
};

// In which order programs are swapped: those that only read a map before those that write it, so that no program of the
// new generation reads a map that is not yet written. Sorted by order, then by name; the same for any order of the input.
[[nodiscard]] std::vector<ProgramOrder> swap_order(const CodeFacts& facts, const std::vector<std::string>& programs);

}  // namespace mapshift::update
