// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/kernel.h"
#include "kernel/program.h"

namespace mapshift {

// The third way in which a hook changes what it runs: a clsact filter, which has no link. It hangs on the interface and so
// outlives every process by itself. hook_dir: place (an array of one FilterPlace: where to find it again), and, pinned
// last, link, a second name of the same map that says that an attachment is complete.
//
// A packet runs the old or the new program (the kernel replaces the filter in one list operation), but the replacement is
// no compare-and-swap: between the question which program is there and the replacement, a few microseconds, somebody else's
// change of the same filter would be overwritten.
class FilterHook {
 public:
  explicit FilterHook(std::string dir) : dir_(std::move(dir)) {}

  // Makes the clsact qdisc where it is missing. kConflict when a filter is at that priority and handle.
  [[nodiscard]] Status attach(const Hook& hook, const Program& program) const;
  [[nodiscard]] Result<SwapReport> swap(const Program& from, const Program& to) const;
  [[nodiscard]] Result<uint32_t> running() const;  // program id
  [[nodiscard]] Result<bool> place_gone() const;   // whether the interface is another one now, or none
  // Removes the filter if it is still ours, and the qdisc if we made it and nobody uses it.
  [[nodiscard]] Status detach() const;
  [[nodiscard]] static bool is_at(const std::string& dir);

 private:
  std::string dir_;
};

}  // namespace mapshift
