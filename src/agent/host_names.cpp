// SPDX-License-Identifier: Apache-2.0
#include "agent/host_names.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace mapshift::agent {

std::set<std::string> host_names() {
  std::set<std::string> out = {"localhost"};
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0') {
    std::string full = name.data();
    std::ranges::transform(full, full.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    out.insert(full.substr(0, full.find('.')));
    out.insert(std::move(full));
  }
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return out;
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr) continue;
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = at->ifa_addr->sa_family;
    const void* address = family == AF_INET    ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(at->ifa_addr)->sin_addr)
                          : family == AF_INET6 ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(at->ifa_addr)->sin6_addr)
                                               : nullptr;
    if (address != nullptr && ::inet_ntop(family, address, text.data(), text.size()) != nullptr) out.insert(text.data());
  }
  ::freeifaddrs(list);
  return out;
}

}  // namespace mapshift::agent
