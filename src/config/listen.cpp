// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "config/config.h"

namespace mapshift::config {

Result<Listen> parse_listen(const std::string& text) {
  const auto refuse = [&text](const std::string& why) { return fail(ErrorCode::kInvalid, "\"" + text + "\": " + why); };
  if (text.starts_with('[') || std::ranges::count(text, ':') > 1) {
    return refuse("IPv6 is not served; give an IPv4 address and a port, such as \"127.0.0.1:9848\"");
  }
  const size_t colon = text.find(':');
  if (colon == std::string::npos) return refuse("no port; write \"address:port\", such as \"127.0.0.1:9848\"");
  Listen listen{text.substr(0, colon), 0};
  const std::string port = text.substr(colon + 1);
  in_addr address{};
  if (listen.host != "localhost" && inet_pton(AF_INET, listen.host.c_str(), &address) != 1) {
    return refuse("\"" + listen.host + "\" is neither an IPv4 address nor \"localhost\"");
  }
  if (port.ends_with('s') || port.ends_with('r')) {
    return refuse(
        "this listener speaks plain HTTP only; put a reverse proxy in front of it for TLS, and give the port as a number");
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), listen.port);
  if (error != std::errc{} || end != port.data() + port.size())
    return refuse("the port must be a number from 0 to 65535 (0: any free one)");
  return listen;
}

}  // namespace mapshift::config
