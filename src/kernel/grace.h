// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <mutex>

#include "base/fd.h"
#include "base/result.h"

namespace mapshift {

// Waits for running programs. The kernel finishes an update of an element of an array of maps only after an RCU grace
// period (maybe_wait_bpf_programs in kernel/bpf/syscall.c), which every non-sleepable program is a reader of.
// membarrier would do nothing with one CPU online. Does not wait for sleepable programs. Thread-safe.
class GracePeriod {
 public:
  [[nodiscard]] Status wait();

 private:
  [[nodiscard]] Status make_maps();

  std::mutex mutex_;
  Fd inner_, outer_;  // made once, at the first wait
};

}  // namespace mapshift
