// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "socket.h"

namespace mapshift::traffic {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kCloseMilliseconds = 5000;

// Bytes that the peer's kernel will get, or -1 with errno.
int64_t transfer(int fd, uint64_t bytes, const StopFlag& stop) {
  const std::vector<char> block(64 * 1024);
  uint64_t sent = 0;
  while (sent < bytes && !stop) {
    const auto n = send(fd, block.data(), std::min<uint64_t>(block.size(), bytes - sent), MSG_NOSIGNAL);
    if (n > 0) {
      sent += static_cast<uint64_t>(n);
    } else if (errno != EINTR && errno != EAGAIN) {
      return -1;
    }
  }
  return static_cast<int64_t>(sent);
}

// The last segments count as well: waits until the peer has closed its side too.
bool close_both_ways(int fd) {
  shutdown(fd, SHUT_WR);
  pollfd wait = {fd, POLLIN, 0};
  char scrap = 0;
  return poll(&wait, 1, kCloseMilliseconds) == 1 && recv(fd, &scrap, 1, MSG_DONTWAIT) == 0;
}

}  // namespace

Report send_tcp(const Options& options, const StopFlag& stop) {
  Report report;
  const auto start = Clock::now();
  const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval timeout = {1, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  if (options.tcp_rate != 0) setsockopt(fd.get(), SOL_SOCKET, SO_MAX_PACING_RATE, &options.tcp_rate, sizeof options.tcp_rate);
  const sockaddr_in to = make_address(options);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    report.error = errno_text("connect (is the sink running?)");
    return report;
  }
  Flow flow = describe(fd.get(), IPPROTO_TCP);
  const int64_t sent = transfer(fd.get(), options.tcp_bytes, stop);
  if (sent < 0) {
    report.error = errno_text("send");
  } else if (!close_both_ways(fd.get())) {
    report.error = "the sink did not close the TCP connection in time";
  }
  flow.bytes = static_cast<uint64_t>(std::max<int64_t>(sent, 0));
  flow.packets = segments_sent(fd.get());
  report.flows.push_back(flow);
  report.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return report;
}

}  // namespace mapshift::traffic
