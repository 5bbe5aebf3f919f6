// SPDX-License-Identifier: Apache-2.0
#include "kernel/link.h"

#include <bpf/bpf.h>

#include <cerrno>

#include "kernel/pin.h"

namespace mapshift {
namespace {

constexpr uint32_t kTcxLink = 11, kNetkitLink = 13;  // BPF_LINK_TYPE_TCX, since Linux 6.6; BPF_LINK_TYPE_NETKIT, since 6.7

// A link outlives its interface or cgroup as an empty shell, which the kernel shows by a zero target.
bool has_target(const bpf_link_info& info) {
  // The tcx and netkit members begin as the xdp one does, with the interface's index; older headers do not name it.
  if (info.type == BPF_LINK_TYPE_XDP || info.type == kTcxLink || info.type == kNetkitLink) return info.xdp.ifindex != 0;
  if (info.type == BPF_LINK_TYPE_CGROUP) return info.cgroup.cgroup_id != 0;
  if (info.type == BPF_LINK_TYPE_NETNS) return info.netns.netns_ino != 0;
  return true;
}

Result<bpf_link_info> read_info(int fd, const std::string& name) {
  bpf_link_info info{};
  uint32_t length = sizeof(info);
  if (bpf_link_get_info_by_fd(fd, &info, &length) != 0) return fail_errno(errno, name + " is not a readable link");
  return info;
}

}  // namespace

Result<Link> Link::open(const std::string& pin) {
  MS_TRY(Fd fd, open_pin(pin));
  return Link(std::move(fd), pin);
}

Result<bool> Link::place_gone() const {
  MS_TRY(const bpf_link_info info, read_info(fd_.get(), name_));
  return !has_target(info);
}

Result<uint32_t> Link::program_id() const {
  MS_TRY(const bpf_link_info info, read_info(fd_.get(), name_));
  if (!has_target(info)) {
    return fail(ErrorCode::kConflict, "the link " + name_ + " is no longer attached: its interface, cgroup or network namespace is gone");
  }
  return info.prog_id;
}

Result<SwapReport> Link::replace(const Program& from, const Program& to) const {
  LIBBPF_OPTS(bpf_link_update_opts, options, .flags = BPF_F_REPLACE, .old_prog_fd = static_cast<uint32_t>(from.fd()));
  SwapReport report{monotonic_now(), {}};
  const int err = bpf_link_update(fd_.get(), to.fd(), &options) == 0 ? 0 : errno;
  report.ended = monotonic_now();
  if (err == 0) return report;
  MS_TRY(const uint32_t now, program_id());
  // EPERM means that the old program was not the one named, but a security policy answers EPERM as well.
  if (now != from.id()) {
    return fail(Error{ErrorCode::kConflict, err, name_ + " runs " + describe_program(now) + ", not " +
        describe_program(from.id()) + " of " + from.name() + ": somebody else changed it", {}, {}});
  }
  return fail_errno(err, "replace " + from.name() + " by " + to.name() + " at the link " + name_);
}

void Link::detach() const { (void)bpf_link_detach(fd_.get()); }

}  // namespace mapshift
