// SPDX-License-Identifier: Apache-2.0
#include "socket.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace mapshift::traffic {

namespace {

std::string to_text(const in_addr& address) {
  char text[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, &address, text, sizeof text);
  return text;
}

}  // namespace

sockaddr_in make_address(const Options& options) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(options.port);
  inet_pton(AF_INET, options.address.c_str(), &address.sin_addr);
  return address;
}

Flow describe(int fd, int proto) {
  sockaddr_in local = {}, remote = {};
  socklen_t size = sizeof local;
  getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size);
  size = sizeof remote;
  getpeername(fd, reinterpret_cast<sockaddr*>(&remote), &size);
  Flow flow;
  flow.src = to_text(local.sin_addr);
  flow.dst = to_text(remote.sin_addr);
  flow.sport = ntohs(local.sin_port);
  flow.dport = ntohs(remote.sin_port);
  flow.proto = proto;
  return flow;
}

uint64_t segments_sent(int fd) {
  tcp_info info = {};
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return info.tcpi_segs_out;
}

std::string errno_text(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

}  // namespace mapshift::traffic
