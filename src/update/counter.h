// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

#include "base/result.h"
#include "kernel/object_spec.h"

namespace mapshift::update {

// A number in a module's maps that an objective names: "map.field" of element 0 of an array or per-CPU array, or a global
// variable ("dropped", "counters.dropped"). Of one instance "map@eth0.field", "dropped@eth0"; without it of all that there are.
struct Counter {
  std::string map;  // MapSpec name, or that of one instance's
  uint32_t offset = 0, size = 0;
  bool is_signed = false;
  bool percpu = false;
  uint32_t value_size = 0;
};

// kInvalid when there is no such number; the message names what is there.
[[nodiscard]] Result<Counter> find_counter(const ObjectSpec& object, const std::string& path);

// The number in the bytes of the element (per-CPU values concatenated, each rounded up to 8 bytes: their sum).
[[nodiscard]] double read_counter(const Counter& counter, const std::vector<std::byte>& element);

}  // namespace mapshift::update
