// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>

#include "kernel/change_log.h"

namespace mapshift {

// A source of change records that sees all maps of the host and reports those that are bound to a slot (ChangeLog::bind). Works
// as long as it lives. Thread-safe.
class ChangeProbe {
 public:
  virtual ~ChangeProbe() = default;
  // Events that the kernel kept from the programs because one of them ran on that CPU: changes that nobody reported, and that left
  // no gap in any map's numbers.
  [[nodiscard]] virtual Result<uint64_t> missed() const = 0;
};

// At the return of the system call bpf(). kUnsupported: this kernel has no system call tracepoints, or no BTF.
[[nodiscard]] Result<std::unique_ptr<ChangeProbe>> open_syscall_probe(const ChangeLog& log);
// At the functions of the map types, those that the running kernel has. kUnsupported: it lets nobody trace functions.
[[nodiscard]] Result<std::unique_ptr<ChangeProbe>> open_fexit_probe(const ChangeLog& log);
// Whether these can be had: loads, attaches and drops a probe that no map is bound to.
[[nodiscard]] Status try_syscall_probe();
[[nodiscard]] Status try_fexit_probe();

}  // namespace mapshift
