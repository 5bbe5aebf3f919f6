// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "base/result.h"
#include "slo/sample.h"

namespace mapshift::update {

// Time of all CPUs since boot, in the kernel's ticks.
struct CpuTimes {
  double total = 0, idle = 0, softirq = 0;
};
// The text of /proc/stat. kInternal when its first line is not what the kernel documents.
[[nodiscard]] Result<CpuTimes> parse_cpu_times(std::string_view text);

// Of one network interface, both directions, since it exists.
struct InterfaceCounters {
  double delivered = 0, dropped = 0;
};
// The text of /proc/net/dev. kNotFound: no such interface.
[[nodiscard]] Result<InterfaceCounters> parse_interface(std::string_view text, const std::string& name);
[[nodiscard]] Result<InterfaceCounters> read_interface(const std::string& name);

// One reading for an objective of the indicator `host`.
[[nodiscard]] Status read_host(const std::string& figure, const std::string& interface, slo::Sample& sample);

}  // namespace mapshift::update
