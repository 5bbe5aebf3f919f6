// SPDX-License-Identifier: Apache-2.0
#include "private_net.h"

#include <fcntl.h>
#include <sched.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace mapshift::test {

PrivateNet::PrivateNet() : outer_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
  if (!outer_.valid() || ::unshare(CLONE_NEWNET) != 0) {
    problem_ = std::string("unshare the network: ") + std::strerror(errno);
    return;
  }
  const std::string near = kNear, far = kFar;
  for (const std::string& command : {std::string("test ! -e /proc/sys/net/ipv6 || echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"), std::string("ip link set lo up"), "ip link add " + near + " type veth peer name " + far,
                                     "ip link set " + near + " up", "ip link set " + far + " up"}) {
    if (std::system(command.c_str()) != 0) problem_ = "failed: " + command;
  }
}

PrivateNet::~PrivateNet() {
  if (outer_.valid()) (void)::setns(outer_.get(), CLONE_NEWNET);
}

}  // namespace mapshift::test
