// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include <cerrno>

#include "kernel/attach/functions.h"
#include "kernel/attach/perf_probe.h"
#include "kernel/user_elf.h"

namespace mapshift {
namespace {

std::string place_of(const Hook& hook) {
  const std::string offset = std::to_string(hook.trace.offset);
  if (hook.trace.symbol.empty()) return "offset " + offset + " of " + hook.path;
  std::string place = hook.trace.symbol;
  if (hook.trace.offset != 0) place.append("+").append(offset);
  return place + " of " + hook.path;
}

bool at_return(const Hook& hook) { return hook.type == "uretprobe"; }

Status check_pid(const Hook& hook) {
  const int64_t pid = hook.trace.pid;
  if (pid == 0 || ::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM) return {};
  return fail(ErrorCode::kNotFound, "there is no process " + std::to_string(pid) + " to probe; 0 stands for all of them");
}

Result<uint64_t> place_in_file(const Hook& hook) {
  MS_TRY(const UserElf elf, UserElf::open(hook.path));
  if (at_return(hook)) MS_CHECK(refuse_go_returns(hook, elf.is_go()));
  uint64_t place = hook.trace.offset;
  if (!hook.trace.symbol.empty()) {
    MS_TRY(const uint64_t function, elf.function_offset(hook.trace.symbol));
    place += function;
  }
  if (elf.holds_code(place)) return place;
  return fail(ErrorCode::kInvalid, place_of(hook) + " is no code: a " + hook.type + " goes to the beginning of an instruction");
}

}  // namespace

Status refuse_go_returns(const Hook& hook, bool go) {
  if (!go) return {};
  return fail(ErrorCode::kRefused, hook.path + " is a Go program: Go moves stacks, and finds a return probe's address instead of its own there, so a " +
                                       hook.type + " crashes it. Put probes at the function's RET instructions instead: \"uprobe\" with \"offset\"");
}

Result<uint32_t> uprobe_attach_type(const Hook&) { return 0u; }

Status check_uprobe(const Hook& hook) {
  MS_CHECK(check_pid(hook));
  if (auto place = place_in_file(hook); !place) {
    Error error = place.error();
    error.message = "no " + hook.type + " here: " + error.message;
    return fail(std::move(error));
  }
  return {};
}

// A perf event and not uprobe_multi: it works since Linux 5.15, and of a process takes all threads.
Result<Fd> open_uprobe_link(const Hook& hook, int program_fd) {
  MS_TRY(const uint64_t place, place_in_file(hook));
  const std::string what = "attach a " + hook.type + " to " + place_of(hook);
  auto event = open_perf_probe({.unit = "uprobe", .returns = at_return(hook), .target = hook.path, .offset = place, .pid = hook.trace.pid});
  if (!event && event.error().sys_errno == 0) return event;
  if (!event) return fail_errno(event.error().sys_errno, what);
  return link_perf_event(program_fd, event->get(), 0, what);
}

}  // namespace mapshift
