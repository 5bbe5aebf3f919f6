// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "kernel/attach/type.h"
#include "kernel/link.h"
#include "kernel/program.h"

namespace mapshift {

// Whether a program of this type can be attached there.
[[nodiscard]] Status check_program_type(const AttachType& type, const Hook& hook, const Program& program);

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

// A stub that tail-calls slots[(course + word) & 1]: `word` is the hook's own, `course` is shared by all dispatchers of the
// module. hook_dir: link, stub, slots, word, course, misses, sides, and link_1 … of hooks with several links. The pin of
// `slots` is what keeps its entries: a program array is emptied with its last reference from user space.
struct DispatcherHook {
  const AttachType& type;
  std::string dir;
  // Whether the pinned link runs the pinned stub. Neither there: false.
  [[nodiscard]] Result<bool> stands() const;
  // Null: events find no program there, but `waiting` takes the idle slot.
  [[nodiscard]] Status attach(const Hook& hook, const Program* program, const Program* waiting = nullptr) const;
  // Puts a hook whose link runs `program` behind a stub, which runs it on: no event falls between.
  [[nodiscard]] Status take_over(const Hook& hook, const Program& program) const;
  // The opposite: the link runs `program` itself, and the stub goes.
  [[nodiscard]] Status hand_back(const Program& program) const;
  // Fills, or empties, the slot that events do not go to, and what was counted of it.
  [[nodiscard]] Status fill_idle(const Program* program) const;
  // Fills the idle slot, then one store flips the hook's own word. The old program stays in the idle slot: stubs that have
  // read the old word may still be on their way to it.
  [[nodiscard]] Result<SwapReport> swap(const Program& from, const Program& to) const;
  [[nodiscard]] Result<uint32_t> running() const;  // program id; 0: events find none
  [[nodiscard]] Result<uint32_t> idle() const;     // likewise, of the other slot
  // Events that found no program, since attach.
  [[nodiscard]] Result<uint64_t> misses() const;
  // What was counted of the program with this id; nothing when it is in neither slot.
  [[nodiscard]] Result<SideStats> side(uint32_t program_id) const;
};

// Programs that may sleep: no program array may hold them. hook_dir: link, and next while two are attached. The programs' own gate
// says which of them does something; it is found among the maps that they use.
class OverlapHook {
 public:
  OverlapHook(const AttachType& type, std::string dir) : type_(type), dir_(std::move(dir)) {}
  // Whether this kernel and this type can do it.
  [[nodiscard]] Status check() const;
  [[nodiscard]] Status attach(const Hook& hook, const Program& program) const;
  // Takes two grace periods of programs that may sleep. Programs are named by their pins, which tell their generations.
  [[nodiscard]] Result<SwapReport> swap(const Hook& hook, const Program& from, const Program& to) const;
  [[nodiscard]] Result<int> running(const std::string& from, const std::string& to) const;  // as Kernel::running

 private:
  [[nodiscard]] Status attach_next(const Hook& hook, const Program& program) const;
  const AttachType& type_;
  const std::string dir_;
};

// Detaches those of these programs that wait below `hooks_dir` beside another one.
[[nodiscard]] Status drop_idle_links(const std::string& hooks_dir, const std::vector<uint32_t>& program_ids);

// Empties the idle dispatcher slots below `hooks_dir` that hold one of these programs, which would live on otherwise.
// No stub may still be on its way: a grace period after the swap. Returns the hooks that have no program left.
[[nodiscard]] Result<std::vector<std::string>> clear_idle_slots(const std::string& hooks_dir, const std::vector<uint32_t>& program_ids);

}  // namespace mapshift
