// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <linux/if_link.h>

#include <cerrno>

#include "kernel/attach/functions.h"

namespace mapshift {
namespace {

constexpr uint32_t kXdpAttachType = 37;  // BPF_XDP

Result<Fd> link_in_mode(const Hook& hook, int program_fd, int index, uint32_t mode) {
  LIBBPF_OPTS(bpf_link_create_opts, options, .flags = mode);
  Fd link(bpf_link_create(program_fd, index, static_cast<bpf_attach_type>(kXdpAttachType), &options));
  if (link.valid()) return link;
  if (errno == EBUSY || errno == EEXIST) {
    return fail(Error{ErrorCode::kConflict, errno, "another XDP program is attached to " + hook.interface +
                                                       "; detach it first (ip link set dev " + hook.interface + " xdp off)",
                                                           {}, {}});
  }
  const bool native = mode == XDP_FLAGS_DRV_MODE;
  return fail_errno(errno, "attach XDP to " + hook.interface + " in " + (native ? "native" : "generic") + " mode");
}

}  // namespace

Result<uint32_t> xdp_attach_type(const Hook&) { return kXdpAttachType; }

Status check_xdp(const Hook& hook) {
  if (!hook.mode.empty() && hook.mode != "auto" && hook.mode != "native" && hook.mode != "generic") {
    return fail(ErrorCode::kInvalid, "the XDP mode \"" + hook.mode + "\" is not one of auto, native, generic");
  }
  MS_CHECK(interface_index(hook.interface));
  return {};
}

Result<Fd> open_xdp_link(const Hook& hook, int program_fd) {
  MS_TRY(const int index, interface_index(hook.interface));
  if (hook.mode == "generic") return link_in_mode(hook, program_fd, index, XDP_FLAGS_SKB_MODE);
  auto native = link_in_mode(hook, program_fd, index, XDP_FLAGS_DRV_MODE);
  if (native || hook.mode == "native" || native.error().code == ErrorCode::kConflict) return native;
  return link_in_mode(hook, program_fd, index, XDP_FLAGS_SKB_MODE);
}

}  // namespace mapshift
