// SPDX-License-Identifier: Apache-2.0
#include "client.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>

#include "http/address.h"

namespace mapshift::http {

std::string Reply::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (equal_ignoring_case(key, name)) return value;
  return {};
}

RawClient::RawClient(const std::string& address) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const auto parsed = parse_address(address);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr = parsed->host;
  name.sin_port = htons(parsed->port);
  const timeval limit{10, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) fd_.reset();
}

bool RawClient::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void RawClient::end_of_writing() { ::shutdown(fd_.get(), SHUT_WR); }

std::string RawClient::read_all() {
  std::string text;
  std::array<char, 4096> piece;
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), piece.data(), piece.size(), 0);
    if (got <= 0) return text;
    text.append(piece.data(), static_cast<size_t>(got));
  }
}

Reply RawClient::reply() { return parse_reply(read_all()); }

Reply parse_reply(const std::string& text) {
  Reply reply;
  const size_t end = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || end == std::string::npos) return reply;
  reply.status = std::stoi(text.substr(9, 3));
  reply.body = text.substr(end + 4);
  if (reply.status == 100) return parse_reply(reply.body);
  size_t at = text.find("\r\n") + 2;
  while (at < end) {
    const size_t line_end = text.find("\r\n", at), colon = text.find(": ", at);
    if (colon < line_end) reply.headers.emplace_back(text.substr(at, colon - at), text.substr(colon + 2, line_end - colon - 2));
    at = line_end + 2;
  }
  return reply;
}

Reply Client::send(const std::string& method, const std::string& target, const std::string& body,
                   const std::vector<std::string>& headers) const {
  std::string text = method + " " + target + " HTTP/1.1\r\nHost: test\r\n";
  if (!token.empty()) text += "Authorization: Bearer " + token + "\r\n";
  if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  for (const std::string& header : headers) text += header + "\r\n";
  RawClient raw(address);
  raw.write(text + "\r\n" + body);
  return raw.reply();
}

}  // namespace mapshift::http
