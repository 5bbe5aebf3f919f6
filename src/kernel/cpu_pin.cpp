// SPDX-License-Identifier: Apache-2.0
#include "kernel/cpu_pin.h"

#include <charconv>
#include <fstream>
#include <string>

namespace mapshift {

CpuPin::CpuPin() : restore_(sched_getaffinity(0, sizeof saved_, &saved_) == 0) {}

CpuPin::~CpuPin() {
  if (restore_) sched_setaffinity(0, sizeof saved_, &saved_);
}

Status CpuPin::move_to(uint32_t cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) == 0) return {};
  std::string online;
  std::getline(std::ifstream("/sys/devices/system/cpu/online"), online);
  if (!cpu_list_has(online, cpu)) return {};
  return fail(ErrorCode::kUnsupported, "CPU " + std::to_string(cpu) + " is online, but this process may not run there: a per-CPU map is " +
                                           "synchronised on each CPU in turn, so give the agent all CPUs (cpuset, CPUAffinity)");
}

bool cpu_list_has(std::string_view list, uint32_t cpu) {
  while (!list.empty()) {
    const std::string_view range = list.substr(0, list.find(','));
    list.remove_prefix(range.size() == list.size() ? range.size() : range.size() + 1);
    uint32_t first = 0, last = 0;
    const char* const end = range.data() + range.size();
    const auto [next, error] = std::from_chars(range.data(), end, first);
    if (error != std::errc{}) continue;
    last = first;
    if (next != end && *next == '-') std::from_chars(next + 1, end, last);
    if (cpu >= first && cpu <= last) return true;
  }
  return false;
}

}  // namespace mapshift
