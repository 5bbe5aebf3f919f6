// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <netinet/in.h>

#include <string>

#include "base/fd.h"
#include "traffic.h"

namespace mapshift::traffic {

[[nodiscard]] sockaddr_in make_address(const Options& options);
// Both ends of a connected socket, from this side's point of view. Counters are left at 0.
[[nodiscard]] Flow describe(int fd, int proto);
// Segments that this side of a TCP connection has sent so far. Still answers after the peer has closed.
[[nodiscard]] uint64_t segments_sent(int fd);
[[nodiscard]] std::string errno_text(const char* what);

}  // namespace mapshift::traffic
