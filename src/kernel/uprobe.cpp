// SPDX-License-Identifier: Apache-2.0
#include "kernel/uprobe.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstdlib>

namespace mapshift {
namespace {

Result<Fd> attach_many(int program_fd, const std::string& path, std::span<const UprobePlace> places) {
  std::vector<unsigned long> offsets;
  std::vector<__u64> cookies;
  for (const UprobePlace& place : places) {
    offsets.push_back(place.offset);
    cookies.push_back(place.cookie);
  }
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.uprobe_multi.path = path.c_str();
  options.uprobe_multi.offsets = offsets.data();
  options.uprobe_multi.cookies = cookies.data();
  options.uprobe_multi.cnt = static_cast<uint32_t>(places.size());
  const int fd = bpf_link_create(program_fd, 0, BPF_TRACE_UPROBE_MULTI, &options);
  if (fd < 0) return fail_errno(-fd, "attach " + std::to_string(places.size()) + " probes to " + path);
  return Fd(fd);
}

// The number that perf_event_open() knows uprobes by differs between kernels.
Result<uint32_t> uprobe_event_type() {
  static constexpr const char* kPath = "/sys/bus/event_source/devices/uprobe/type";
  const Fd file(::open(kPath, O_RDONLY | O_CLOEXEC));
  std::array<char, 16> text{};
  if (!file.valid() || ::read(file.get(), text.data(), text.size() - 1) <= 0) return fail_errno(errno, std::string("read ") + kPath);
  return static_cast<uint32_t>(std::strtoul(text.data(), nullptr, 10));
}

Result<std::vector<Fd>> attach_one(int program_fd, const std::string& path, const UprobePlace& place, uint32_t type) {
  perf_event_attr attributes{};
  attributes.size = sizeof(attributes);
  attributes.type = type;
  attributes.config1 = reinterpret_cast<uint64_t>(path.c_str());
  attributes.config2 = place.offset;
  // Any CPU stands for all of them when the event belongs to a probe of all processes.
  Fd event(static_cast<int>(::syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC)));
  if (!event.valid()) return fail_errno(errno, "open a probe on " + path);
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.perf_event.bpf_cookie = place.cookie;
  Fd link(bpf_link_create(program_fd, event.get(), BPF_PERF_EVENT, &options));
  if (!link.valid()) return fail_errno(-link.get(), "attach a probe to " + path);
  std::vector<Fd> both;
  both.push_back(std::move(link));
  both.push_back(std::move(event));
  return both;
}

}  // namespace

UprobeLink best_uprobe_link() {
  // "/" is no file that could have probes: EBADF says that the kernel got so far as to look at it.
  static const bool has = [] {
    const std::array<bpf_insn, 2> code{bpf_insn{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, bpf_insn{BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    LIBBPF_OPTS(bpf_prog_load_opts, load, .expected_attach_type = BPF_TRACE_UPROBE_MULTI);
    const Fd program(bpf_prog_load(BPF_PROG_TYPE_KPROBE, "probe", "GPL", code.data(), code.size(), &load));
    if (!program.valid()) return false;
    const unsigned long offset = 0;
    LIBBPF_OPTS(bpf_link_create_opts, options);
    options.uprobe_multi.path = "/";
    options.uprobe_multi.offsets = &offset;
    options.uprobe_multi.cnt = 1;
    return bpf_link_create(program.get(), -1, BPF_TRACE_UPROBE_MULTI, &options) == -EBADF;
  }();
  return has ? UprobeLink::kMulti : UprobeLink::kPerf;
}

Result<Uprobes> Uprobes::attach(UprobeLink kind, int program_fd, const std::string& path, std::span<const UprobePlace> places) {
  Uprobes probes;
  if (places.empty()) return probes;
  if (kind == UprobeLink::kMulti) {
    MS_TRY(Fd link, attach_many(program_fd, path, places));
    probes.links_.push_back(std::move(link));
    return probes;
  }
  MS_TRY(const uint32_t type, uprobe_event_type());
  for (const UprobePlace& place : places) {
    MS_TRY(std::vector<Fd> owned, attach_one(program_fd, path, place, type));
    for (Fd& fd : owned) probes.links_.push_back(std::move(fd));
  }
  return probes;
}

}  // namespace mapshift
