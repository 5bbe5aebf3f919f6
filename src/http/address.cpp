// SPDX-License-Identifier: Apache-2.0
#include "http/address.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/fd.h"

namespace mapshift::http {
namespace {

constexpr int kSendBuffer = 128 << 10;  // bytes; the kernel doubles it for its own records
constexpr unsigned kUnansweredMs = 10000;

sockaddr_in socket_address(const Address& address) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_addr = address.host;
  out.sin_port = htons(address.port);
  return out;
}

Fd tcp_socket(int flags) { return Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0)); }

}  // namespace

Result<Address> parse_address(const std::string& text) {
  const auto bad = [&](const std::string& why) {
    return fail(ErrorCode::kInvalid, "cannot listen on \"" + text + "\": " + why + "; write it as 127.0.0.1:9847");
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return bad("it has no port");
  const std::string host = text.substr(0, colon) == "localhost" ? "127.0.0.1" : text.substr(0, colon);
  const std::string port = text.substr(colon + 1);
  Address address;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc() || end == port.data()) return bad("the port is not a number from 0 to 65535");
  if (std::string_view(end) == "s") return bad("TLS is the job of a reverse proxy");
  if (*end != '\0') return bad("the port is not a number from 0 to 65535");
  if (::inet_pton(AF_INET, host.c_str(), &address.host) != 1) return bad("the host is not an IPv4 address");
  return address;
}

std::string to_string(const Address& address) {
  char text[INET_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET, &address.host, text, sizeof text);
  return std::string(text) + ":" + std::to_string(address.port);
}

Status try_address(const Address& address) {
  const sockaddr_in name = socket_address(address);
  const Fd fd = tcp_socket(0);
  const int on = 1;
  if (fd.valid() && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0)
    return {};
  const int err = errno;
  const char* advice = err == EADDRINUSE ? "; stop what listens there, or choose another port" : "";
  return fail(Error{ErrorCode::kUnavailable, err, "cannot listen on " + to_string(address) + ": " + std::strerror(err) + advice, {}, {}});
}

void bound_connections(const Address& address) {
  // The library keeps its listening socket to itself, but what is set there, accepted connections inherit.
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const int fd = std::atoi(entry.path().filename().c_str());
    int listens = 0;
    socklen_t size = sizeof listens;
    if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) continue;
    sockaddr_in name{};
    size = sizeof name;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0 || name.sin_family != AF_INET) continue;
    if (ntohs(name.sin_port) != address.port || name.sin_addr.s_addr != address.host.s_addr) continue;
    // Best effort: without them the kernel's own, larger limits hold.
    (void)::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof kSendBuffer);
    (void)::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnansweredMs, sizeof kUnansweredMs);
  }
}

void knock(const Address& address) {
  const sockaddr_in name = socket_address(address);
  const Fd fd = tcp_socket(SOCK_NONBLOCK);
  // The kernel completes the handshake by itself. A failure leaves the other side to its own timeout.
  if (fd.valid()) (void)::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name);
}

}  // namespace mapshift::http
