// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <set>
#include <string>

namespace mapshift::test {

// Every program, map and link of the machine: taken before and after, it shows what was left behind.
struct KernelIds {
  std::set<uint32_t> programs, maps, links;
  [[nodiscard]] static KernelIds now();
  [[nodiscard]] bool within(const KernelIds& other) const;
  // What is in `*this` and was not in `before`, named; empty when nothing.
  [[nodiscard]] std::string added_since(const KernelIds& before) const;
};

// Waits for deferred frees, then tells what is left over; empty when nothing. What another process has open is taken for
// that process's own. What others have only pinned is not told apart, so tests that use this run alone (RUN_SERIAL).
[[nodiscard]] std::string left_over_since(const KernelIds& before);

}  // namespace mapshift::test
