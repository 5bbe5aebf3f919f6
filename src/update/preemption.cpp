// SPDX-License-Identifier: Apache-2.0
#include "update/preemption.h"

#include <linux/bpf.h>

#include "update/names.h"

namespace mapshift::update {

// As of Linux 6.18: XDP, tc and tcx run with bottom halves off, raw and classic tracepoints, kprobes and perf events with
// preemption off (trace_call_bpf, __bpf_trace_run). bpf_prog_run_array_cg, __bpf_prog_enter (fentry, fexit, LSM, struct_ops) and
// bpf_prog_run_array_uprobe only keep the task from moving to another CPU.
bool may_be_preempted(const ProgramSpec& program) {
  if (program.sleepable) return true;
  switch (program.type) {
    case BPF_PROG_TYPE_KPROBE:
      return program.section.starts_with("uprobe") || program.section.starts_with("uretprobe") || program.section.starts_with("usdt");
    case BPF_PROG_TYPE_TRACING: return program.expected_attach_type != BPF_TRACE_RAW_TP;
    case BPF_PROG_TYPE_LSM:
    case BPF_PROG_TYPE_EXT:
    case BPF_PROG_TYPE_STRUCT_OPS:
    case BPF_PROG_TYPE_SYSCALL:
    case BPF_PROG_TYPE_CGROUP_SKB:
    case BPF_PROG_TYPE_CGROUP_SOCK:
    case BPF_PROG_TYPE_CGROUP_DEVICE:
    case BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
    case BPF_PROG_TYPE_CGROUP_SYSCTL:
    case BPF_PROG_TYPE_CGROUP_SOCKOPT:
    case BPF_PROG_TYPE_SOCK_OPS: return true;
    default: return false;  // an open set: the kernel adds program types
  }
}

std::string preempted_writer(const ObjectSpec& object, const CodeFacts& facts, const std::string& map) {
  for (const MapAccess& access : facts.maps) {
    if (access.map != map || !(access.writes_value || access.updates)) continue;
    const ProgramSpec* program = find_program(object, access.program);
    if (program != nullptr && may_be_preempted(*program)) return program->name;
  }
  return {};
}

}  // namespace mapshift::update
