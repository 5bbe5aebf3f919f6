// SPDX-License-Identifier: Apache-2.0
#include "kernel/link.h"

#include <bpf/bpf.h>

#include <cerrno>

#include "kernel/pin.h"

namespace mapshift {
namespace {

constexpr uint32_t kTcxLink = 11, kNetkitLink = 13;  // BPF_LINK_TYPE_TCX, since Linux 6.6; BPF_LINK_TYPE_NETKIT, since 6.7
constexpr uint32_t kSockmapLink = 14;                // BPF_LINK_TYPE_SOCKMAP, since Linux 6.10

// A link outlives its interface or cgroup as an empty shell, which the kernel shows by a zero target.
bool has_target(const bpf_link_info& info) {
  // The tcx and netkit members begin as the xdp one does, with the interface's index; older headers do not name it.
  if (info.type == BPF_LINK_TYPE_XDP || info.type == kTcxLink || info.type == kNetkitLink) return info.xdp.ifindex != 0;
  if (info.type == BPF_LINK_TYPE_CGROUP) return info.cgroup.cgroup_id != 0;
  if (info.type == BPF_LINK_TYPE_NETNS) return info.netns.netns_ino != 0;
  if (info.type == BPF_LINK_TYPE_STRUCT_OPS) return info.struct_ops.map_id != 0;
  if (info.type == kSockmapLink) return info.sockmap.map_id != 0;
  return true;
}

Result<bpf_link_info> info_of(int fd, const std::string& name) {
  bpf_link_info info{};
  uint32_t length = sizeof(info);
  if (bpf_link_get_info_by_fd(fd, &info, &length) != 0) return fail_errno(errno, name + " is not a readable link");
  if (has_target(info)) return info;
  return fail(ErrorCode::kConflict, "the link " + name + " is no longer attached: its interface, cgroup, network namespace or map is gone");
}

}  // namespace

Result<Link> Link::open(const std::string& pin) {
  MS_TRY(Fd fd, open_pin(pin));
  return Link(std::move(fd), pin);
}

Result<uint32_t> Link::program_id() const {
  MS_TRY(const bpf_link_info info, info_of(fd_.get(), name_));
  return info.prog_id;
}

Result<uint32_t> Link::table_id() const {
  MS_TRY(const bpf_link_info info, info_of(fd_.get(), name_));
  if (info.type == BPF_LINK_TYPE_STRUCT_OPS) return info.struct_ops.map_id;
  return fail(ErrorCode::kInvalid, name_ + " is no link to a table of functions");
}

Result<uint32_t> Link::map_id() const {
  MS_TRY(const bpf_link_info info, info_of(fd_.get(), name_));
  if (info.type == kSockmapLink) return info.sockmap.map_id;
  return info.type == BPF_LINK_TYPE_ITER ? info.iter.map.map_id : 0;
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

Result<SwapReport> Link::replace(const Map& from, const Map& to) const {
  LIBBPF_OPTS(bpf_link_update_opts, options, .flags = BPF_F_REPLACE, .old_map_fd = static_cast<uint32_t>(from.fd()));
  SwapReport report{monotonic_now(), {}};
  const int err = bpf_link_update(fd_.get(), to.fd(), &options) == 0 ? 0 : errno;
  report.ended = monotonic_now();
  if (err == 0) return report;
  MS_TRY(const uint32_t now, table_id());
  if (now != from.shape().id) {
    return fail(Error{ErrorCode::kConflict, err, name_ + " runs the table " + std::to_string(now) + ", not " + std::to_string(from.shape().id) +
        " of " + from.name() + ": somebody else changed it", {}, {}});
  }
  return fail_errno(err, "replace the table " + from.name() + " by " + to.name() + " at the link " + name_);
}

void Link::detach() const { (void)bpf_link_detach(fd_.get()); }

}  // namespace mapshift
