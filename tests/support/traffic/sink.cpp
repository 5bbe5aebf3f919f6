// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <list>

#include "socket.h"

namespace mapshift::traffic {

namespace {

constexpr size_t kMaxConnections = 64;
constexpr int kPollMilliseconds = 100;

struct Connection {
  Fd fd;
  Flow flow;
  bool closing = false;  // the peer has sent all; ours is the last word
};

[[nodiscard]] Fd open_socket(const Options& options, int type, std::string& error) {
  Fd fd(socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = make_address(options);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) error = errno_text("bind");
  return fd;
}

// True when the connection is over in both directions and its segments are counted.
bool serve(Connection& connection, short events) {
  static std::array<char, 256 * 1024> scrap;  // one thread; what it holds is never read
  if (!connection.closing) {
    const auto n = recv(connection.fd.get(), scrap.data(), scrap.size(), 0);
    if (n > 0) connection.flow.bytes += static_cast<uint64_t>(n);
    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) return false;
    shutdown(connection.fd.get(), SHUT_WR);
    connection.closing = true;
    return n < 0;
  }
  return (events & (POLLHUP | POLLERR)) != 0;  // our FIN has been acknowledged
}

void finish(Connection& connection, Report& report) {
  connection.flow.packets = segments_sent(connection.fd.get()) + 1;  // the SYN-ACK went out before there was this socket
  connection.flow.bytes = 0;  // what was received is the sender's to report
  report.flows.push_back(connection.flow);
}

}  // namespace

Report run_sink(const Options& options, const StopFlag& stop) {
  Report report;
  // Never read: the kernel drops what does not fit, at no cost, and with no ICMP error to the sender.
  const Fd udp = open_socket(options, SOCK_DGRAM, report.error);
  const Fd tcp = open_socket(options, SOCK_STREAM, report.error);
  if (report.error.empty() && listen(tcp.get(), 16) != 0) report.error = errno_text("listen");
  if (!report.error.empty()) return report;

  std::list<Connection> connections;
  while (!stop) {
    std::vector<pollfd> waits = {{tcp.get(), POLLIN, 0}};
    for (const auto& connection : connections) {
      waits.push_back({connection.fd.get(), static_cast<short>(connection.closing ? 0 : POLLIN), 0});
    }
    if (poll(waits.data(), waits.size(), kPollMilliseconds) <= 0) continue;
    auto at = connections.begin();
    for (size_t i = 1; i < waits.size(); ++i) {
      const auto here = at++;
      if (waits[i].revents == 0 || !serve(*here, waits[i].revents)) continue;
      finish(*here, report);
      connections.erase(here);
    }
    if (waits[0].revents != 0) {
      Connection fresh{Fd(accept4(tcp.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)), {}};
      if (!fresh.fd.valid() || connections.size() >= kMaxConnections) continue;
      fresh.flow = describe(fresh.fd.get(), IPPROTO_TCP);
      connections.push_back(std::move(fresh));
    }
  }
  for (auto& connection : connections) finish(connection, report);
  return report;
}

}  // namespace mapshift::traffic
