// SPDX-License-Identifier: Apache-2.0
#include "kernel/attach/filter_list.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/fd.h"

namespace mapshift {
namespace {

struct Question {
  nlmsghdr header{};
  tcmsg filter{};
};

// What one datagram holds. False when it ends the answer.
Result<bool> read_answer(const std::byte* data, size_t size, std::vector<FilterAt>& found) {
  auto left = static_cast<unsigned>(size);
  for (const auto* message = reinterpret_cast<const nlmsghdr*>(data); NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
    if (message->nlmsg_type == NLMSG_DONE) return false;
    if (message->nlmsg_type == NLMSG_ERROR) {
      const int err = -static_cast<const nlmsgerr*>(NLMSG_DATA(message))->error;
      if (err == EINVAL || err == ENOENT) return false;  // no such qdisc
      return fail_errno(err, "list the filters of traffic control");
    }
    if (message->nlmsg_type != RTM_NEWTFILTER || message->nlmsg_len < NLMSG_LENGTH(sizeof(tcmsg))) continue;
    const auto* filter = static_cast<const tcmsg*>(NLMSG_DATA(message));
    found.push_back({TC_H_MAJ(filter->tcm_info) >> 16, filter->tcm_handle});
  }
  return true;
}

}  // namespace

Result<std::vector<FilterAt>> list_filters(int interface, bool ingress) {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket.valid()) return fail_errno(errno, "open a netlink socket");
  Question question;
  question.header = {.nlmsg_len = sizeof question, .nlmsg_type = RTM_GETTFILTER, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                     .nlmsg_seq = 1, .nlmsg_pid = 0};
  question.filter.tcm_family = AF_UNSPEC;
  question.filter.tcm_ifindex = interface;
  question.filter.tcm_parent = TC_H_MAKE(TC_H_CLSACT, ingress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
  if (::send(socket.get(), &question, sizeof question, 0) != sizeof question) return fail_errno(errno, "list the filters of traffic control");
  std::vector<FilterAt> found;
  alignas(nlmsghdr) std::array<std::byte, 32768> buffer{};
  for (bool more = true; more;) {
    const ssize_t size = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail_errno(errno, "list the filters of traffic control");
    MS_TRY(more, read_answer(buffer.data(), static_cast<size_t>(size), found));
  }
  return found;
}

}  // namespace mapshift
