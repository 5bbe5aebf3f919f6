// SPDX-License-Identifier: Apache-2.0
#include "kernel/attach/perf_probe.h"

#include <bpf/bpf.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

namespace mapshift {
namespace {

constexpr const char* kUnits = "/sys/bus/event_source/devices/";

// The numbers by which perf_event_open() knows these probes differ between kernels.
Result<uint32_t> unit_type(const PerfProbe& probe) {
  uint32_t type = 0;
  if (std::ifstream(std::string(kUnits) + probe.unit + "/type") >> type) return type;
  return fail(ErrorCode::kUnsupported, std::string("this kernel has no ") + probe.unit + "s: there is no " + kUnits + probe.unit);
}

// "config:0": which bit of the event asks for the function's end.
Result<uint64_t> return_bit(const PerfProbe& probe) {
  std::ifstream file(std::string(kUnits) + probe.unit + "/format/retprobe");
  std::string text;
  unsigned bit = 0;
  if (std::getline(file, text, ':') && file >> bit && bit < 64) return uint64_t{1} << bit;
  return fail(ErrorCode::kUnsupported, std::string("this kernel's ") + probe.unit + "s cannot wait for the end of a function");
}

}  // namespace

Result<Fd> open_perf_event(const perf_event_attr& attributes, int pid, int cpu) {
  Fd event(static_cast<int>(::syscall(SYS_perf_event_open, &attributes, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC)));
  if (!event.valid()) return fail_errno(errno, "open a perf event");
  return event;
}

Result<Fd> open_perf_probe(const PerfProbe& probe) {
  perf_event_attr attributes{};
  attributes.size = sizeof(attributes);
  MS_TRY(attributes.type, unit_type(probe));
  if (probe.returns) {
    MS_TRY(attributes.config, return_bit(probe));
  }
  constexpr unsigned kSemaphoreShift = 32;  // "config:32-63", see format/ref_ctr_offset
  if (probe.semaphore >> 32 != 0) return fail(ErrorCode::kUnsupported, "the probe's counter lies too far into " + probe.target);
  attributes.config |= probe.semaphore << kSemaphoreShift;
  attributes.config1 = reinterpret_cast<uint64_t>(probe.target.c_str());
  attributes.config2 = probe.offset;
  // Any CPU stands for all of them when the event belongs to a probe of all processes.
  const bool all = probe.pid == 0;
  return open_perf_event(attributes, all ? -1 : static_cast<int>(probe.pid), all ? 0 : -1);
}

Result<Fd> link_perf_event(int program_fd, int event, uint64_t cookie, const std::string& what) {
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.perf_event.bpf_cookie = cookie;
  Fd link(bpf_link_create(program_fd, event, BPF_PERF_EVENT, &options));
  if (!link.valid()) return fail_errno(errno, what);
  if (::ioctl(event, PERF_EVENT_IOC_ENABLE, 0) != 0) return fail_errno(errno, what);
  return link;
}

}  // namespace mapshift
