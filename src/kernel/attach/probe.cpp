// SPDX-License-Identifier: Apache-2.0
#include "kernel/attach/probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <array>
#include <cerrno>

#include "kernel/libbpf_log.h"

namespace mapshift {
namespace {

const std::array kSamples{
    Hook{.type = "xdp", .interface = "lo", .mode = "auto"},
    Hook{.type = "tcx", .interface = "lo", .direction = "ingress"},
    Hook{.type = "tc", .interface = "lo", .direction = "ingress"},
    Hook{.type = "netkit", .interface = "lo", .direction = "primary"},
    Hook{.type = "tracepoint", .category = "sched", .name = "sched_switch"},
    Hook{.type = "raw_tracepoint", .name = "sched_switch"},
};

Status load_two_instructions(uint32_t program_type, uint32_t expected) {
  // What each type lets a program return; 1 is "go on" nearly everywhere.
  const bool must_be_zero = program_type == BPF_PROG_TYPE_TRACING || program_type == BPF_PROG_TYPE_LSM;
  const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, must_be_zero ? 0 : 1}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  const LibbpfLog quiet;
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = static_cast<bpf_attach_type>(expected));
  const Fd fd(bpf_prog_load(static_cast<bpf_prog_type>(program_type), "ms_probe", "GPL", code, std::size(code), &options));
  if (fd.valid()) return {};
  const char* name = libbpf_bpf_prog_type_str(static_cast<bpf_prog_type>(program_type));
  return fail_errno(errno, std::string("this kernel refuses programs of the type ") + (name != nullptr ? name : "asked for"));
}

}  // namespace

Hook sample_hook(const AttachType& type) {
  for (const Hook& sample : kSamples) {
    if (sample.type == type.name) return sample;
  }
  return {.type = std::string(type.name)};
}

Status probe_attach_type(const AttachType& type, const Hook& sample) {
  MS_TRY(const uint32_t program_type, program_type_of(type, sample));
  MS_TRY(const uint32_t expected, type.expected_attach_type(sample));
  MS_CHECK(load_two_instructions(program_type, expected));
  if (type.name == "cgroup") return {};  // a cgroup takes whatever loads for it
  const Status found = type.check(sample);
  // "lo" is no netkit interface: a kernel that can tell, has netkit.
  const bool no_netkit = type.name == "netkit" && !found && found.error().code == ErrorCode::kInvalid;
  return no_netkit ? Status{} : found;
}

Status may_load_programs() {
  const Status loaded = load_two_instructions(BPF_PROG_TYPE_SOCKET_FILTER, 0);
  if (loaded || loaded.error().sys_errno != EPERM) return loaded;
  return fail(ErrorCode::kUnauthorized, "this process may not load BPF programs, so nothing can be tried; run it as root");
}

Status try_map_walk() {
  const LibbpfLog quiet;
  if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SYSCALL, nullptr) != 1) {
    return fail(ErrorCode::kUnsupported, "this kernel refuses programs of the type syscall; it needs Linux 5.14 or later");
  }
  // libbpf asks the verifier whether it knows the helper.
  if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_TRACEPOINT, BPF_FUNC_for_each_map_elem, nullptr) == 1) return {};
  return fail(ErrorCode::kUnsupported, "this kernel has no bpf_for_each_map_elem; it needs Linux 5.13 or later");
}

}  // namespace mapshift
