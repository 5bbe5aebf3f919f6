// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "kernel/attach/type.h"
#include "kernel/link.h"
#include "kernel/program.h"

namespace mapshift {

// The two ways in which a hook changes what it runs. All state is in hook_dir, none in the process. "link" is pinned last
// and so says that an attachment is complete.

// A link that is updated in place. hook_dir: link.
struct NativeHook {
  const AttachType& type;
  std::string dir;
  [[nodiscard]] Status attach(const Hook& hook, const Program& program) const;
  [[nodiscard]] Result<SwapReport> swap(const Program& from, const Program& to) const;
  [[nodiscard]] Result<uint32_t> running() const;  // program id
};

// A stub that tail-calls slots[word & 1]. hook_dir: link, slots, word, misses, and link_1 … of hooks with
// several links. The pin of `slots` is what keeps its
// entries: a program array is emptied with its last reference from user space.
struct DispatcherHook {
  const AttachType& type;
  std::string dir;
  [[nodiscard]] Status attach(const Hook& hook, const Program& program) const;
  // Fills the idle slot, then one store flips the word. The old program stays in the idle slot: stubs that have read the
  // old word may still be on their way to it.
  [[nodiscard]] Result<SwapReport> swap(const Program& from, const Program& to) const;
  [[nodiscard]] Result<uint32_t> running() const;  // program id
  // Events that found no program, since attach.
  [[nodiscard]] Result<uint64_t> misses() const;
};

// Empties the idle dispatcher slots below `hooks_dir` that hold one of these programs, which would live on otherwise.
// No stub may still be on its way: a grace period after the swap.
[[nodiscard]] Status clear_idle_slots(const std::string& hooks_dir, const std::vector<uint32_t>& program_ids);

}  // namespace mapshift
