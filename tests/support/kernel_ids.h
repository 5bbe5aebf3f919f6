// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <set>
#include <string>

namespace mapshift::test {

// Every program, map and link of the machine: taken before and after, it shows what was left behind. Other processes'
// objects count too, so tests that use it run alone (RUN_SERIAL).
struct KernelIds {
  std::set<uint32_t> programs, maps, links;
  [[nodiscard]] static KernelIds now();
  [[nodiscard]] bool within(const KernelIds& other) const;
  // What is in `*this` and was not in `before`, named; empty when nothing.
  [[nodiscard]] std::string added_since(const KernelIds& before) const;
};

// Waits for deferred frees, then tells what is left over; empty when nothing.
[[nodiscard]] std::string left_over_since(const KernelIds& before);

}  // namespace mapshift::test
