// SPDX-License-Identifier: Apache-2.0
// Programs whose target is a type in the kernel's BTF: fentry, fexit, tp_btf, lsm. The target belongs to the program and not to the
// link, so the dispatcher's stub is aimed as each generation's program is; a program array takes only programs of one target.
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <array>
#include <cerrno>
#include <fstream>

#include "kernel/attach/functions.h"
#include "kernel/libbpf_log.h"

namespace mapshift {
namespace {

struct Kind {
  std::string_view name;
  bpf_attach_type attach;
  std::string_view target;  // what it is called
};
constexpr std::array<Kind, 4> kKinds{{{"fentry", BPF_TRACE_FENTRY, "function"},
                                      {"fexit", BPF_TRACE_FEXIT, "function"},
                                      {"tp_btf", BPF_TRACE_RAW_TP, "tracepoint"},
                                      {"lsm", BPF_LSM_MAC, "security hook"}}};

Result<Kind> kind_of(const Hook& hook) {
  for (const Kind& kind : kKinds) {
    if (kind.name == hook.type) return kind;
  }
  return fail(ErrorCode::kInternal, hook.type + " is no attach type with a target in BTF");
}

Result<uint32_t> target_id(const Hook& hook, const Kind& kind) {
  const LibbpfLog log;
  const int id = libbpf_find_vmlinux_btf_id(hook.name.c_str(), kind.attach);
  if (id > 0) return static_cast<uint32_t>(id);
  if (id == -ENOENT) return fail(ErrorCode::kNotFound, "no " + hook.type + " here: this kernel has no " + std::string(kind.target) + " " + hook.name);
  return fail(ErrorCode::kUnsupported, "no " + hook.type + " here: this kernel describes no types (/sys/kernel/btf/vmlinux)");
}

// Programs of a security module that is not switched on load and attach, and never run.
Status check_lsm_is_on() {
  constexpr const char* kList = "/sys/kernel/security/lsm";
  std::string modules;
  if (!(std::ifstream(kList) >> modules)) {
    return fail(ErrorCode::kUnsupported, std::string("no lsm here: ") + kList + " cannot be read, so nobody knows whether such programs would run; mount -t "
        "securityfs securityfs /sys/kernel/security");
  }
  if (("," + modules + ",").find(",bpf,") != std::string::npos) return {};
  return fail(ErrorCode::kUnsupported, "no lsm here: \"bpf\" is not among the active security modules (" + modules + "), so no such program would run; boot with lsm=" + modules + ",bpf");
}

}  // namespace

Result<uint32_t> tracing_attach_type(const Hook& hook) {
  MS_TRY(const Kind kind, kind_of(hook));
  return kind.attach;
}

// An empty program for that target asks the kernel whether it takes such programs at all: some refuse them with EPERM.
Status check_tracing(const Hook& hook) {
  MS_TRY(const Kind kind, kind_of(hook));
  MS_TRY(const uint32_t id, target_id(hook, kind));
  const std::array<bpf_insn, 2> code{bpf_insn{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, bpf_insn{BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = kind.attach, .attach_btf_id = id);
  options.prog_flags = hook.trace.overlap ? BPF_F_SLEEPABLE : 0;
  const bpf_prog_type type = kind.attach == BPF_LSM_MAC ? BPF_PROG_TYPE_LSM : BPF_PROG_TYPE_TRACING;
  const Fd program(bpf_prog_load(type, "ms_probe", "GPL", code.data(), code.size(), &options));
  if (program.valid()) return kind.attach == BPF_LSM_MAC ? check_lsm_is_on() : Status{};
  const int err = errno;
  if (err == EPERM || err == EOPNOTSUPP || err == ENOTSUP) {
    return fail(Error{ErrorCode::kUnsupported, err, "no " + hook.type + " here: this kernel refuses such programs, by its configuration or a security policy", {}, {}});
  }
  if (err == EINVAL && hook.trace.overlap) {
    return fail(Error{ErrorCode::kUnsupported, err, "no " + hook.type + " here: this kernel lets no program sleep at " + hook.name, {}, {}});
  }
  return fail_errno(err, "load a " + hook.type + " program for " + hook.name);
}

Status aim_tracing(const Hook& hook, bpf_program* program) {
  const LibbpfLog log;
  const int err = bpf_program__set_attach_target(program, 0, hook.name.c_str());
  if (err == 0) return {};
  auto error = fail_errno(err, "aim a " + hook.type + " program at " + hook.name);
  error.value().context = log.text();
  return error;
}

Result<Fd> open_tracing_link(const Hook& hook, int program_fd) {
  Fd link(bpf_raw_tracepoint_open(nullptr, program_fd));  // for these types: a link to the program's own target
  if (!link.valid()) return fail_errno(errno, "attach a " + hook.type + " program to " + hook.name);
  return link;
}

}  // namespace mapshift
