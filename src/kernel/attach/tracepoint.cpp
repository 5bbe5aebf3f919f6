// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "kernel/attach/functions.h"

namespace mapshift {
namespace {

constexpr const char* kTraceFs[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};

Result<uint64_t> event_id(const Hook& hook) {
  MS_CHECK(check_event_name("the tracepoint's category", hook.category));
  MS_CHECK(check_event_name("the tracepoint's name", hook.name));
  bool mounted = false;
  for (const std::string root : kTraceFs) {
    uint64_t id = 0;
    if (std::ifstream(root + "/events/" + hook.category + "/" + hook.name + "/id") >> id) return id;
    mounted = mounted || ::access((root + "/events").c_str(), F_OK) == 0;
  }
  if (mounted) return fail(ErrorCode::kNotFound, "this kernel has no tracepoint " + hook.category + "/" + hook.name);
  return fail(ErrorCode::kUnsupported,
      "tracefs is not mounted, so tracepoints have no ids; mount -t tracefs tracefs /sys/kernel/tracing");
}

}  // namespace

Result<uint32_t> tracepoint_attach_type(const Hook&) { return 0u; }

Status check_tracepoint(const Hook& hook) {
  MS_CHECK(event_id(hook));
  return {};
}

// A link of a perf event (since Linux 5.15) can be pinned; the older ioctl alone would end with this process. One event
// on one CPU is enough: programs hang on the tracepoint itself and run on every CPU.
Result<Fd> open_tracepoint_link(const Hook& hook, int program_fd) {
  MS_TRY(const uint64_t id, event_id(hook));
  const std::string what = "attach to the tracepoint " + hook.category + "/" + hook.name;
  perf_event_attr attributes{};
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.size = sizeof(attributes);
  attributes.config = id;
  attributes.sample_period = 1;
  const long opened = ::syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
  if (opened < 0) return fail_errno(errno, what);
  const Fd event(static_cast<int>(opened));
  Fd link(bpf_link_create(program_fd, event.get(), static_cast<bpf_attach_type>(BPF_PERF_EVENT), nullptr));
  if (!link.valid()) return fail_errno(errno, what);
  if (::ioctl(event.get(), PERF_EVENT_IOC_ENABLE, 0) != 0) return fail_errno(errno, what);
  return link;
}

}  // namespace mapshift
