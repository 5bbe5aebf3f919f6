// SPDX-License-Identifier: Apache-2.0
// Tables of functions. A link is made of the table's map, and an update gives it another map (Linux 6.4). Of the kernel's subsystems only
// TCP's congestion controls take an update (bpf_tcp_ca_update; others answer EOPNOTSUPP, as of Linux 6.18), and there
// connections that are open keep the functions which they began with until they close.
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <array>
#include <cerrno>
#include <memory>

#include "kernel/attach/functions.h"
#include "kernel/libbpf_log.h"

namespace mapshift {
namespace {

constexpr std::string_view kUpdated = "tcp_congestion_ops";
constexpr const char* kTried = "ssthresh";  // a member of it, for which a program of two instructions is loaded

using Types = std::unique_ptr<btf, void (*)(btf*)>;

// The index of a member of a structure; -1: it has none of this name, or there is no such structure.
int member_of(const btf* types, const char* structure, const std::string& member) {
  const int id = btf__find_by_name_kind(types, structure, BTF_KIND_STRUCT);
  const btf_type* type = id > 0 ? btf__type_by_id(types, static_cast<uint32_t>(id)) : nullptr;
  for (int i = 0; type != nullptr && i < btf_vlen(type); ++i) {
    if (member == btf__name_by_offset(types, btf_members(type)[i].name_off)) return i;
  }
  return -1;
}

}  // namespace

Result<uint32_t> struct_ops_attach_type(const Hook&) { return uint32_t{0}; }  // each function's is its index in the structure

Status check_struct_ops(const Hook& hook) {
  if (hook.name != kUpdated) {
    return fail(ErrorCode::kUnsupported,
        "a table of functions \"" + hook.name + "\" cannot be exchanged: the kernel answers EOPNOTSUPP to an update of any but " +
                                             std::string(kUpdated));
  }
  const LibbpfLog quiet;
  const Types types(btf__load_vmlinux_btf(), btf__free);
  if (!types) return fail(ErrorCode::kUnsupported,
      "no struct_ops here: this kernel describes no types (/sys/kernel/btf/vmlinux)");
  const int member = member_of(types.get(), hook.name.c_str(), kTried);
  if (member < 0) return fail(ErrorCode::kUnsupported, "no struct_ops here: this kernel has no " + hook.name);
  if (member_of(types.get(), "bpf_struct_ops", "update") < 0) {
    return fail(ErrorCode::kUnsupported,
        "no struct_ops here: this kernel cannot exchange the functions of a running " + hook.name + "; it needs Linux 6.4 or later");
  }
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = static_cast<bpf_attach_type>(member));
  options.attach_btf_id = static_cast<uint32_t>(btf__find_by_name_kind(types.get(), hook.name.c_str(), BTF_KIND_STRUCT));
  const std::array<bpf_insn, 2> code{bpf_insn{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 2}, bpf_insn{BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  const Fd program(bpf_prog_load(BPF_PROG_TYPE_STRUCT_OPS, "ms_probe", "GPL", code.data(), code.size(), &options));
  if (program.valid()) return {};
  const int err = errno;
  return fail(Error{ErrorCode::kUnsupported, err,
      "no struct_ops here: this kernel refuses such programs, by its configuration or a security policy", {}, {}});
}

Result<Fd> open_struct_ops_link(const Hook& hook, int map_fd) {
  Fd link(bpf_link_create(map_fd, 0, BPF_STRUCT_OPS, nullptr));
  if (link.valid()) return link;
  const std::string what = "register the " + hook.name + " \"" + hook.hook + "\"";
  if (errno == EEXIST) return fail(Error{ErrorCode::kConflict, errno, what + ": there is another one of this name", {}, {}});
  return fail_errno(errno, what);
}

}  // namespace mapshift
