// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <set>
#include <string>

namespace mapshift::agent {

// What others may call this host: its name, with and without the domain, "localhost", and every address of its interfaces;
// in lower case. Asked anew each time, for addresses come and go.
[[nodiscard]] std::set<std::string> host_names();

}  // namespace mapshift::agent
