// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace mapshift {

// A program must be loaded for the kind of link that it will be attached by.
enum class UprobeLink : uint8_t {
  kMulti,  // one link for many probes: Linux 6.6
  kPerf,   // a perf event each
};
[[nodiscard]] UprobeLink best_uprobe_link();

struct UprobePlace {
  uint64_t offset = 0;  // into the file, at the beginning of an instruction: the kernel checks only that it is in the file
  uint64_t cookie = 0;  // what bpf_get_attach_cookie() gives there
};

// Owner of one program's probes at places of one executable file; they are in all processes that run it, also in those to come.
// Ends them when destroyed, which waits until no CPU runs the program: 30 to 70 ms for each link, in which nothing is hit any more. Not thread-safe.
class Uprobes {
 public:
  Uprobes() = default;
  // `path` opens the file, such as /proc/PID/exe; it is not needed afterwards. No places: nothing is attached.
  [[nodiscard]] static Result<Uprobes> attach(UprobeLink kind, int program_fd, const std::string& path,
                                              std::span<const UprobePlace> places);
  [[nodiscard]] bool attached() const { return !links_.empty(); }

 private:
  std::vector<Fd> links_;
};

}  // namespace mapshift
