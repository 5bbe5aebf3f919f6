// SPDX-License-Identifier: Apache-2.0
#include <cerrno>

#include "kernel/attach/functions.h"
#include "kernel/attach/perf_probe.h"

namespace mapshift {
namespace {

// The kernel itself knows best which functions it has, and which of them must not be probed.
Result<Fd> open_probe(const Hook& hook) {
  auto event = open_perf_probe({.unit = "kprobe", .returns = hook.type == "kretprobe", .target = hook.name, .offset = hook.trace.offset});
  if (event) return event;
  Error error = event.error();
  switch (error.sys_errno) {
    case 0: error.message = "no " + hook.type + " here: " + error.message; break;
    case ENOENT: error = {ErrorCode::kNotFound, ENOENT, "no " + hook.type + " here: this kernel has no function " + hook.name, {}, {}}; break;
    case EINVAL:
    case EILSEQ:
    case EADDRNOTAVAIL:
      error = {ErrorCode::kRefused, error.sys_errno, "no " + hook.type + " here: the kernel lets nobody probe " + hook.name + " at offset " +
          std::to_string(hook.trace.offset), {}, {}};
      break;
    default: error.message = "no " + hook.type + " here: " + hook.name + ": " + error.message;
  }
  return fail(std::move(error));
}

}  // namespace

Result<uint32_t> kprobe_attach_type(const Hook&) { return 0u; }

Status check_kprobe(const Hook& hook) {
  MS_CHECK(open_probe(hook));
  return {};
}

Result<Fd> open_kprobe_link(const Hook& hook, int program_fd) {
  MS_TRY(const Fd event, open_probe(hook));
  return link_perf_event(program_fd, event.get(), 0, "attach a " + hook.type + " to " + hook.name);
}

}  // namespace mapshift
