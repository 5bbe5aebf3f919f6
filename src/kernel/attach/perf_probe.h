// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"

struct perf_event_attr;

namespace mapshift {

// A probe as a perf event: of a function of the kernel, or of a place in a file of user space.
struct PerfProbe {
  const char* unit;          // "kprobe", "uprobe": a folder of /sys/bus/event_source/devices
  bool returns = false;      // hit when the function returns
  std::string target;        // function, or path of the file
  uint64_t offset = 0;
  uint64_t semaphore = 0;    // uprobe: place of a counter in the file that tells the program that it is probed; 0: none
  int64_t pid = 0;           // uprobe: whose memory; 0: everybody's
};
// kUnsupported when the kernel has no such probes; what it says of this one is sys_errno.
[[nodiscard]] Result<Fd> open_perf_probe(const PerfProbe& probe);
[[nodiscard]] Result<Fd> open_perf_event(const perf_event_attr& attributes, int pid, int cpu);

// A link of a perf event (since Linux 5.15) keeps the event, and can be pinned.
[[nodiscard]] Result<Fd> link_perf_event(int program_fd, int event, uint64_t cookie, const std::string& what);

}  // namespace mapshift
