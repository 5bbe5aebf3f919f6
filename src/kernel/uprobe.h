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

// Owner of one program's probes at places of one executable file; they are in all processes that run it, also in those to come.
// Ends them when destroyed, which waits until no CPU runs the program: milliseconds. Not thread-safe.
class Uprobes {
 public:
  Uprobes() = default;
  // `path` opens the file, such as /proc/PID/exe; it is not needed afterwards. `offsets` are into the file, at the beginning of
  // an instruction: the kernel checks nothing but that they are in the file. No offsets: nothing is attached.
  [[nodiscard]] static Result<Uprobes> attach(UprobeLink kind, int program_fd, const std::string& path,
                                              std::span<const uint64_t> offsets);

 private:
  std::vector<Fd> links_;
};

}  // namespace mapshift
