// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>

#include <cerrno>

#include "kernel/attach/functions.h"

namespace mapshift {
namespace {

constexpr uint32_t kPrimary = 54, kPeer = 55;  // BPF_NETKIT_PRIMARY, BPF_NETKIT_PEER: since Linux 6.7

}  // namespace

Result<uint32_t> netkit_attach_type(const Hook& hook) {
  if (hook.direction == "primary") return kPrimary;
  if (hook.direction == "peer") return kPeer;
  return fail(ErrorCode::kInvalid, "the netkit direction \"" + hook.direction + "\" is not one of primary, peer");
}

Status check_netkit(const Hook& hook) {
  MS_TRY(const uint32_t type, netkit_attach_type(hook));
  MS_TRY(const int index, interface_index(hook.interface));
  LIBBPF_OPTS(bpf_prog_query_opts, query);
  if (bpf_prog_query_opts(index, static_cast<bpf_attach_type>(type), &query) == 0) return {};
  // The kernel answers ENXIO for another kind of interface, and EACCES for the peer: both ends are asked of the primary one.
  if (errno == ENXIO) return fail(ErrorCode::kInvalid, hook.interface + " is no netkit interface; use \"tcx\" for others");
  if (errno == EACCES) return fail(ErrorCode::kInvalid, hook.interface + " is the peer of a netkit pair: name the primary interface");
  if (errno == EINVAL) return fail(ErrorCode::kUnsupported, "this kernel has no netkit; it needs Linux 6.7 or later with CONFIG_NETKIT");
  return fail_errno(errno, "ask for the programs of " + hook.interface);
}

Result<Fd> open_netkit_link(const Hook& hook, int program_fd) {
  MS_TRY(const uint32_t type, netkit_attach_type(hook));
  MS_TRY(const int index, interface_index(hook.interface));
  LIBBPF_OPTS(bpf_link_create_opts, options);
  Fd link(bpf_link_create(program_fd, index, static_cast<bpf_attach_type>(type), &options));
  if (!link.valid()) return fail_errno(errno, "attach netkit " + hook.direction + " to " + hook.interface);
  return link;
}

}  // namespace mapshift
