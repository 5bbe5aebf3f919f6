// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>

#include <cerrno>

#include "kernel/attach/functions.h"

namespace mapshift {
namespace {

// No file lists raw tracepoints: some have no event in tracefs. An empty program asks the kernel itself.
Result<Fd> empty_program() {
  const bpf_insn code[] = {
      {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  };
  Fd program(bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "ms_probe", "GPL", code, std::size(code), nullptr));
  if (!program.valid()) return fail_errno(errno, "load a program that looks for a raw tracepoint");
  return program;
}

}  // namespace

Result<uint32_t> raw_tracepoint_attach_type(const Hook&) { return 0u; }

Status check_raw_tracepoint(const Hook& hook) {
  MS_TRY(const Fd program, empty_program());
  MS_CHECK(open_raw_tracepoint_link(hook, program.get()));
  return {};
}

Result<Fd> open_raw_tracepoint_link(const Hook& hook, int program_fd) {
  MS_CHECK(check_event_name("the raw tracepoint's name", hook.name));
  Fd link(bpf_raw_tracepoint_open(hook.name.c_str(), program_fd));
  if (link.valid()) return link;
  if (errno == ENOENT) return fail(ErrorCode::kNotFound, "this kernel has no raw tracepoint " + hook.name);
  return fail_errno(errno, "attach to the raw tracepoint " + hook.name);
}

}  // namespace mapshift
