// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <cerrno>

#include "kernel/attach/functions.h"

namespace mapshift {
namespace {

Result<Fd> open_cgroup(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return fail(Error{ErrorCode::kNotFound, errno, "there is no cgroup at \"" + path + "\"", {}, {}});
  struct statfs fs {};
  if (::fstatfs(fd.get(), &fs) != 0) return fail_errno(errno, "inspect " + path);
  if (fs.f_type != CGROUP2_SUPER_MAGIC) {
    return fail(ErrorCode::kInvalid, path + " is not a cgroup of version 2; give a folder of the cgroup2 file system");
  }
  return fd;
}

}  // namespace

Result<uint32_t> cgroup_attach_type(const Hook& hook) {
  if (hook.hook == "skb_ingress") return BPF_CGROUP_INET_INGRESS;
  if (hook.hook == "skb_egress") return BPF_CGROUP_INET_EGRESS;
  return fail(ErrorCode::kUnsupported, "the cgroup hook \"" + hook.hook + "\" is not served; served are skb_ingress, skb_egress");
}

Status check_cgroup(const Hook& hook) {
  MS_CHECK(cgroup_attach_type(hook));
  MS_CHECK(open_cgroup(hook.path));
  return {};
}

Result<Fd> open_cgroup_link(const Hook& hook, int program_fd) {
  MS_TRY(const uint32_t type, cgroup_attach_type(hook));
  MS_TRY(const Fd cgroup, open_cgroup(hook.path));
  Fd link(bpf_link_create(program_fd, cgroup.get(), static_cast<bpf_attach_type>(type), nullptr));
  if (!link.valid()) return fail_errno(errno, "attach " + hook.hook + " to the cgroup " + hook.path);
  return link;
}

}  // namespace mapshift
