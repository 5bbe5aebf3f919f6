// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sched.h>

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace mapshift {

// Puts the calling thread on one CPU after the other, for only there one instruction is atomic against a program of that
// CPU. Gives the thread its affinity back when it goes. Not thread-safe.
class CpuPin {
 public:
  CpuPin();
  CpuPin(const CpuPin&) = delete;
  CpuPin& operator=(const CpuPin&) = delete;
  ~CpuPin();
  // An offline CPU is no error: its programs do not run, so its slots may be visited from where we are. kUnsupported
  // when the CPU runs and this process may not (a cpuset).
  [[nodiscard]] Status move_to(uint32_t cpu);

 private:
  cpu_set_t saved_{};
  bool restore_ = false;
};

// Whether a list such as "0-3,6" names the CPU.
[[nodiscard]] bool cpu_list_has(std::string_view list, uint32_t cpu);

}  // namespace mapshift
