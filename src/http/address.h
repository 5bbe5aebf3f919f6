// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <netinet/in.h>

#include <string>

#include "base/result.h"

namespace mapshift::http {

struct Address {
  in_addr host{};
  uint16_t port = 0;  // in the host's byte order
};
// "127.0.0.1:9847", "localhost:0". Refuses what the server cannot do: TLS ("9847s"), IPv6, names.
[[nodiscard]] Result<Address> parse_address(const std::string& text);
[[nodiscard]] std::string to_string(const Address& address);
// Of every connection that the listening socket of this process at `address` accepts: a peer that does not read, or is gone
// without a word, holds little memory of the kernel and not for long.
void bound_connections(const Address& address);
// Whether it can be listened on at this moment; the error says why not.
[[nodiscard]] Status try_address(const Address& address);
// Connects and hangs up, so that an accepting thread wakes.
void knock(const Address& address);

}  // namespace mapshift::http
