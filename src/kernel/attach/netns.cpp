// SPDX-License-Identifier: Apache-2.0
// sk_lookup and flow_dissector: links of a network namespace.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <cerrno>

#include "kernel/attach/functions.h"

namespace mapshift {
namespace {

constexpr uint32_t kFlowDissector = 17, kSkLookup = 36;  // enum bpf_attach_type

// A thread's own namespace, which is the agent's: only tests have threads in several.
std::string path_of(const Hook& hook) { return hook.path.empty() ? "/proc/thread-self/ns/net" : hook.path; }

Result<Fd> open_namespace(const Hook& hook) {
  const std::string path = path_of(hook);
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail(Error{ErrorCode::kNotFound, errno, "there is no network namespace at \"" + path + "\"", {}, {}});
  struct statfs fs {};
  if (::fstatfs(fd.get(), &fs) != 0) return fail_errno(errno, "inspect " + path);
  if (fs.f_type != NSFS_MAGIC) {
    return fail(ErrorCode::kInvalid, path + " is no network namespace; give one of /run/netns, or /proc/PID/ns/net");
  }
  return fd;
}

}  // namespace

Result<uint32_t> netns_attach_type(const Hook& hook) { return hook.type == "sk_lookup" ? kSkLookup : kFlowDissector; }

Status check_netns(const Hook& hook) {
  MS_CHECK(open_namespace(hook));
  return {};
}

Result<Fd> open_netns_link(const Hook& hook, int program_fd) {
  MS_TRY(const uint32_t type, netns_attach_type(hook));
  MS_TRY(const Fd target, open_namespace(hook));
  const std::string what = "attach " + hook.type + " to the network namespace " + path_of(hook);
  Fd link(bpf_link_create(program_fd, target.get(), static_cast<bpf_attach_type>(type), nullptr));
  if (link.valid()) return link;
  if (errno == EEXIST || errno == E2BIG) {
    return fail(Error{ErrorCode::kConflict, errno, what + ": another program is attached there, and the kernel takes no further one", {}, {}});
  }
  return fail_errno(errno, what);
}

}  // namespace mapshift
