// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>

#include <cerrno>

#include "kernel/attach/functions.h"

namespace mapshift {
namespace {

constexpr uint32_t kTcxIngress = 46, kTcxEgress = 47;  // BPF_TCX_INGRESS, BPF_TCX_EGRESS: since Linux 6.6

}  // namespace

Result<uint32_t> tcx_attach_type(const Hook& hook) {
  if (hook.direction == "ingress") return kTcxIngress;
  if (hook.direction == "egress") return kTcxEgress;
  return fail(ErrorCode::kInvalid, "the tcx direction \"" + hook.direction + "\" is not one of ingress, egress");
}

Status check_tcx(const Hook& hook) {
  MS_TRY(const uint32_t type, tcx_attach_type(hook));
  MS_TRY(const int index, interface_index(hook.interface));
  LIBBPF_OPTS(bpf_prog_query_opts, query);
  if (bpf_prog_query_opts(index, static_cast<bpf_attach_type>(type), &query) == 0 || errno != EINVAL) return {};
  return fail(ErrorCode::kUnsupported, "this kernel has no tcx; it needs Linux 6.6 or later");
}

Result<Fd> open_tcx_link(const Hook& hook, int program_fd) {
  MS_TRY(const uint32_t type, tcx_attach_type(hook));
  MS_TRY(const int index, interface_index(hook.interface));
  LIBBPF_OPTS(bpf_link_create_opts, options);
  Fd link(bpf_link_create(program_fd, index, static_cast<bpf_attach_type>(type), &options));
  if (!link.valid()) return fail_errno(errno, "attach tcx " + hook.direction + " to " + hook.interface);
  return link;
}

}  // namespace mapshift
