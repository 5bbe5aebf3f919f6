// SPDX-License-Identifier: Apache-2.0
// LinuxKernel's calls on hooks: the attach type decides how a hook changes what it runs.
#include <filesystem>

#include "kernel/attach/filter.h"
#include "kernel/attach/hook.h"
#include "kernel/attach/map_hook.h"
#include "kernel/attach/stub.h"
#include "kernel/attach/table_hook.h"
#include "kernel/linux_kernel.h"
#include "kernel/pin.h"

namespace mapshift {

Status check_program_type(const AttachType& type, const Hook& hook, const Program& program) {
  MS_TRY(const uint32_t wanted, program_type_of(type, hook));
  if (program.type() == wanted) return {};
  return fail(ErrorCode::kRefused, program.name() + " is a program of another type (" + std::to_string(program.type()) +
                                       ") and cannot attach to " + std::string(type.name));
}

namespace {

SwapMode mode_of(const AttachType& type, const Hook& hook) { return hook.trace.overlap ? SwapMode::kOverlap : type.swap; }

Result<uint32_t> running_program(const AttachType& type, const std::string& hook_dir) {
  MS_TRY(const bool behind, (DispatcherHook{type, hook_dir}.stands()));
  if (behind) return DispatcherHook{type, hook_dir}.running();
  switch (type.swap) {
    case SwapMode::kNative: return NativeHook{type, hook_dir}.running();
    case SwapMode::kDispatcher:
    case SwapMode::kOverlap: return DispatcherHook{type, hook_dir}.running();
    case SwapMode::kFilter: return FilterHook(hook_dir).running();
  }
  return fail(ErrorCode::kInternal, "an attach type without a swap mode");
}

}  // namespace

Status LinuxKernel::check_hook(const Hook& hook) {
  MS_TRY(const AttachType* type, find_attach_type(hook.type));
  if (hook.trace.overlap) MS_CHECK(OverlapHook(*type, {}).check());
  if (hook.stub) MS_CHECK(check_stub(*type, hook));
  return type->check(hook);
}

Result<SwapMode> LinuxKernel::swap_mode(const Hook& hook) {
  MS_TRY(const AttachType* type, find_attach_type(hook.type));
  return mode_of(*type, hook);
}

Status LinuxKernel::attach(const Hook& hook, const std::string& hook_dir, const std::string& program) {
  MS_TRY(const AttachType* type, find_attach_type(hook.type));
  MS_CHECK(type->check(hook));
  if (type->tables) return TableHook{*type, hook_dir}.attach(hook, program);
  MS_TRY(const Program opened, Program::open(program));
  MS_CHECK(check_program_type(*type, hook, opened));
  if (pin_exists(hook_dir + "/link")) return fail(ErrorCode::kConflict, hook_dir + " is attached already; detach it first");
  if (type->swap != SwapMode::kFilter) MS_CHECK(remove_pins(hook_dir));  // of an attach that died before its link
  if (hook.stub) return DispatcherHook{*type, hook_dir}.attach(hook, &opened);
  switch (mode_of(*type, hook)) {
    case SwapMode::kNative: return NativeHook{*type, hook_dir}.attach(with_map_pin(hook, program), opened);
    case SwapMode::kDispatcher: return DispatcherHook{*type, hook_dir}.attach(hook, &opened);
    case SwapMode::kFilter: return FilterHook(hook_dir).attach(hook, opened);
    case SwapMode::kOverlap: return OverlapHook(*type, hook_dir).attach(hook, opened);
  }
  return fail(ErrorCode::kInternal, "an attach type without a swap mode");
}

Result<SwapReport> LinuxKernel::swap(const Hook& hook, const std::string& hook_dir, const std::string& from,
    const std::string& to) {
  MS_TRY(const AttachType* type, find_attach_type(hook.type));
  if (type->tables) return TableHook{*type, hook_dir}.swap(from, to);
  MS_TRY(const Program old_program, Program::open(from));
  MS_TRY(const Program new_program, Program::open(to));
  MS_CHECK(check_program_type(*type, hook, new_program));
  MS_TRY(const bool behind, (DispatcherHook{*type, hook_dir}.stands()));
  if (behind) return DispatcherHook{*type, hook_dir}.swap(old_program, new_program);
  if (!hook.map.empty()) return swap_at_map(*type, hook, hook_dir, old_program, new_program);
  switch (mode_of(*type, hook)) {
    case SwapMode::kNative: return NativeHook{*type, hook_dir}.swap(old_program, new_program);
    case SwapMode::kDispatcher: return DispatcherHook{*type, hook_dir}.swap(old_program, new_program);
    case SwapMode::kFilter: return FilterHook(hook_dir).swap(old_program, new_program);
    case SwapMode::kOverlap: return OverlapHook(*type, hook_dir).swap(hook, old_program, new_program);
  }
  return fail(ErrorCode::kInternal, "an attach type without a swap mode");
}

Result<int> LinuxKernel::running(const Hook& hook, const std::string& hook_dir, const std::string& from, const std::string& to) {
  MS_TRY(const AttachType* type, find_attach_type(hook.type));
  if (hook.trace.overlap) return OverlapHook(*type, hook_dir).running(from, to);
  if (type->tables) return TableHook{*type, hook_dir}.running(from, to);
  MS_TRY(const uint32_t id, running_program(*type, hook_dir));
  if (id == 0 && (from.empty() || to.empty())) return from.empty() ? 0 : 1;
  // Either pin may be gone when an update is taken up again: one that matches is enough.
  const auto old_program = Program::open(from);
  if (old_program && old_program->id() == id) return 0;
  const auto new_program = Program::open(to);
  if (new_program && new_program->id() == id) return 1;
  return fail(ErrorCode::kConflict, hook_dir + " runs " + describe_program(id) + ", which is neither " + from +
      " nor " + to);
}

Status LinuxKernel::detach(const std::string& hook_dir) {
  if (FilterHook::is_at(hook_dir)) return FilterHook(hook_dir).detach();
  const std::string pinned = hook_dir + "/link";
  if (pin_exists(pinned)) {
    MS_TRY(const Link link, Link::open(pinned));
    MS_CHECK(unpin(pinned));  // before the rest: where a link is pinned, its hook runs, whenever the agent dies
    link.detach();
  }
  return remove_pins(hook_dir);
}

Status LinuxKernel::remove_tree(const std::string& dir) {
  MS_TRY(const auto programs, list_pins(dir + "/progs"));
  std::vector<uint32_t> ids;
  for (const auto& name : programs) {
    if (const auto program = Program::open(dir + "/progs/" + name)) ids.push_back(program->id());
  }
  if (!ids.empty()) {
    const std::filesystem::path module = std::filesystem::path(dir).parent_path().parent_path();
    MS_TRY(const auto empty, clear_idle_slots((module / "hooks").string(), ids));
    for (const std::string& hook : empty) MS_CHECK(detach(hook));
    MS_CHECK(drop_idle_links((module / "hooks").string(), ids));
  }
  return remove_pins(dir);
}

Result<ProgramStats> LinuxKernel::hook_stats(const std::string& hook_dir) {
  if (FilterHook::is_at(hook_dir)) {
    MS_TRY(const uint32_t filter, FilterHook(hook_dir).running());
    MS_TRY(const Program program, Program::by_id(filter));
    return program.stats();
  }
  MS_TRY(const Link link, Link::open(hook_dir + "/link"));
  MS_TRY(const uint32_t id, link.program_id());
  if (id == 0) return fail(ErrorCode::kUnsupported, hook_dir + " runs a table of functions, which the kernel does not count as a program");
  MS_TRY(const Program program, Program::by_id(id));
  return program.stats();
}

}  // namespace mapshift
