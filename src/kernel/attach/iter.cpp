// SPDX-License-Identifier: Apache-2.0
// Iterators: nothing runs them but a process that reads the pin of their link.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <array>
#include <cerrno>

#include "kernel/attach/functions.h"
#include "kernel/libbpf_log.h"
#include "kernel/pin.h"

namespace mapshift {
namespace {

constexpr std::array<std::string_view, 3> kOverMaps{"bpf_map_elem", "bpf_sk_storage_map", "sockmap"};

bool is_over_map(const std::string& name) {
  for (const std::string_view known : kOverMaps) {
    if (known == name) return true;
  }
  return false;
}

Result<Fd> make_link(const Hook& hook, int program_fd, int map_fd) {
  bpf_iter_link_info info{};
  LIBBPF_OPTS(bpf_link_create_opts, options);
  if (map_fd >= 0) {
    info.map.map_fd = static_cast<uint32_t>(map_fd);
    options.iter_info = &info;
    options.iter_info_len = sizeof info;
  }
  Fd link(bpf_link_create(program_fd, 0, BPF_TRACE_ITER, &options));
  if (!link.valid()) return fail_errno(errno, "make an iterator of " + hook.name);
  return link;
}

}  // namespace

Result<uint32_t> iter_attach_type(const Hook&) { return static_cast<uint32_t>(BPF_TRACE_ITER); }

Status check_iter(const Hook& hook) {
  if (is_over_map(hook.name) == hook.map.empty()) {
    return fail(ErrorCode::kInvalid, "an iterator of " + hook.name + (hook.map.empty() ? " needs" : " takes no") + " \"map\"");
  }
  const LibbpfLog quiet;
  const int id = libbpf_find_vmlinux_btf_id(hook.name.c_str(), BPF_TRACE_ITER);
  if (id <= 0) return fail(ErrorCode::kNotFound, "no iter here: this kernel has no iterator of " + hook.name);
  const std::array<bpf_insn, 2> code{bpf_insn{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, bpf_insn{BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_ITER, .attach_btf_id = static_cast<uint32_t>(id));
  const Fd program(bpf_prog_load(BPF_PROG_TYPE_TRACING, "ms_probe", "GPL", code.data(), code.size(), &options));
  if (!program.valid() && errno == EPERM) {
    return fail(Error{ErrorCode::kUnsupported, EPERM,
        "no iter here: this kernel refuses such programs, by its configuration or a security policy", {}, {}});
  }
  if (!program.valid()) return fail_errno(errno, "load an iterator of " + hook.name);
  if (!hook.map.empty()) return {};
  MS_CHECK(make_link(hook, program.get(), -1));  // what an iterator of this kind needs beyond its program, only the kernel knows
  return {};
}

Status aim_iter(const Hook& hook, bpf_program* program) {
  const LibbpfLog log;
  const int err = bpf_program__set_attach_target(program, 0, hook.name.c_str());
  if (err == 0) return {};
  auto error = fail_errno(err, "aim an iterator at " + hook.name);
  error.value().context = log.text();
  return error;
}

Result<Fd> open_iter_link(const Hook& hook, int program_fd) {
  if (hook.map.empty()) return make_link(hook, program_fd, -1);
  MS_TRY(const Fd map, open_pin(hook.map));
  return make_link(hook, program_fd, map.get());
}

}  // namespace mapshift
