// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "update/record.h"

namespace mapshift::update {

// "4711 (exporter)"; a program that sockets run has no pid, and is its name alone.
[[nodiscard]] inline std::string describe_holder(const KeptHolder& holder) {
  return holder.pid == 0 ? holder.comm : std::to_string(holder.pid) + " (" + holder.comm + ")";
}

}  // namespace mapshift::update
