// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <cerrno>

#include "kernel/attach/functions.h"

namespace mapshift {
namespace {

// The numbers of both enums are the kernel's, never renumbered; older headers do not name all of them.
struct CgroupHook {
  std::string_view name;
  uint32_t attach_type, program_type;
};
constexpr uint32_t kSkb = BPF_PROG_TYPE_CGROUP_SKB, kSock = BPF_PROG_TYPE_CGROUP_SOCK, kAddr = BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
                   kOption = BPF_PROG_TYPE_CGROUP_SOCKOPT;
constexpr CgroupHook kHooks[] = {
    {"skb_ingress", 0, kSkb},    {"skb_egress", 1, kSkb},    {"sock_create", 2, kSock},   {"sock_ops", 3, BPF_PROG_TYPE_SOCK_OPS},
    {"device", 6, BPF_PROG_TYPE_CGROUP_DEVICE},              {"bind4", 8, kAddr},         {"bind6", 9, kAddr},
    {"connect4", 10, kAddr},     {"connect6", 11, kAddr},    {"post_bind4", 12, kSock},   {"post_bind6", 13, kSock},
    {"sendmsg4", 14, kAddr},     {"sendmsg6", 15, kAddr},    {"sysctl", 18, BPF_PROG_TYPE_CGROUP_SYSCTL},
    {"recvmsg4", 19, kAddr},     {"recvmsg6", 20, kAddr},    {"getsockopt", 21, kOption}, {"setsockopt", 22, kOption},
    {"getpeername4", 29, kAddr}, {"getpeername6", 30, kAddr},
    {"getsockname4", 31, kAddr}, {"getsockname6", 32, kAddr}, {"sock_release", 34, kSock},
    {"connect_unix", 49, kAddr}, {"sendmsg_unix", 50, kAddr}, {"recvmsg_unix", 51, kAddr},
    {"getpeername_unix", 52, kAddr}, {"getsockname_unix", 53, kAddr},  // since Linux 6.7
};

Result<const CgroupHook*> find_hook(const std::string& name) {
  for (const CgroupHook& hook : kHooks) {
    if (hook.name == name) return &hook;
  }
  std::string served;
  for (const CgroupHook& hook : kHooks) served += (served.empty() ? "" : ", ") + std::string(hook.name);
  return fail(ErrorCode::kUnsupported, "the cgroup hook \"" + name + "\" is not served; served are " + served);
}

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
  MS_TRY(const CgroupHook* found, find_hook(hook.hook));
  return found->attach_type;
}

Result<uint32_t> cgroup_program_type(const Hook& hook) {
  MS_TRY(const CgroupHook* found, find_hook(hook.hook));
  return found->program_type;
}

std::vector<std::string> cgroup_hooks() {
  std::vector<std::string> names;
  for (const CgroupHook& hook : kHooks) names.emplace_back(hook.name);
  return names;
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
