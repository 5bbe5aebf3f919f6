// SPDX-License-Identifier: Apache-2.0
#include "kernel/attach/probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dlfcn.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include "kernel/libbpf_log.h"

namespace mapshift {
namespace {

// The C library that this process runs with: an executable that is there.
std::string library() {
  Dl_info info{};
  return ::dladdr(reinterpret_cast<const void*>(&::qsort), &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : "";
}

std::vector<Hook> samples() {
  const std::string library_path = library();
  std::vector<Hook> out{
      {.type = "xdp", .interface = "lo", .mode = "auto"},
      {.type = "tcx", .interface = "lo", .direction = "ingress"},
      {.type = "tc", .interface = "lo", .direction = "ingress"},
      {.type = "netkit", .interface = "lo", .direction = "primary"},
      {.type = "sk_lookup"},
      {.type = "flow_dissector"},
      {.type = "tracepoint", .category = "sched", .name = "sched_switch"},
      {.type = "raw_tracepoint", .name = "sched_switch"},
      {.type = "lsm", .name = "file_open"},
      {.type = "tp_btf", .name = "sched_switch"},
      {.type = "sockmap", .hook = "verdict"},
      {.type = "iter", .name = "task"},
      {.type = "struct_ops", .name = "tcp_congestion_ops"},
      {.type = "perf_event", .trace = {.event = "cpu-clock", .frequency = 1}},
  };
  for (const char* type : {"kprobe", "kretprobe", "kprobe_multi", "kretprobe_multi", "fentry", "fexit"}) out.push_back({.type = type, .name = "vfs_read"});
  for (const char* type : {"uprobe", "uretprobe", "uprobe_multi", "uretprobe_multi"}) {
    out.push_back({.type = type, .path = library_path, .trace = {.symbol = "qsort"}});
  }
  return out;
}

// `target`: the function or hook of the kernel that a typed program is for; empty for others.
Status load_two_instructions(uint32_t program_type, uint32_t expected, const std::string& target = {}) {
  // What each type lets a program return; 1 is "go on" nearly everywhere.
  const bool must_be_zero = program_type == BPF_PROG_TYPE_TRACING || program_type == BPF_PROG_TYPE_LSM;
  const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, must_be_zero ? 0 : 1}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  const LibbpfLog quiet;
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = static_cast<bpf_attach_type>(expected));
  if (!target.empty()) {
    const int id = libbpf_find_vmlinux_btf_id(target.c_str(), static_cast<bpf_attach_type>(expected));
    if (id <= 0) return fail(ErrorCode::kUnsupported, "this kernel's BTF does not name " + target);
    options.attach_btf_id = static_cast<uint32_t>(id);
  }
  const Fd fd(bpf_prog_load(static_cast<bpf_prog_type>(program_type), "ms_probe", "GPL", code, std::size(code), &options));
  if (fd.valid()) return {};
  const char* name = libbpf_bpf_prog_type_str(static_cast<bpf_prog_type>(program_type));
  return fail_errno(errno, std::string("this kernel refuses programs of the type ") + (name != nullptr ? name : "asked for"));
}

}  // namespace

Hook sample_hook(const AttachType& type) {
  for (Hook& sample : samples()) {
    if (sample.type == type.name) return std::move(sample);
  }
  return {};
}

Status probe_attach_type(const AttachType& type, const Hook& sample) {
  Hook hook = sample;
  hook.type = type.name;
  MS_TRY(const uint32_t program_type, program_type_of(type, hook));
  MS_TRY(const uint32_t expected, type.expected_attach_type(hook));
  // Which function of a structure such a program is for, only its check knows.
  if (!type.tables) MS_CHECK(load_two_instructions(program_type, expected, type.aim != nullptr ? hook.name : ""));
  // A cgroup takes whatever loads for it; of others without a sample nothing more can be told.
  if (type.name == "cgroup" || sample.type.empty()) return {};
  const Status found = type.check(hook);
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
