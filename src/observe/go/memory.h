// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace mapshift::observe::go {

struct Piece {
  uint64_t address = 0;  // in the other process
  void* to = nullptr;
  size_t size = 0;
};

// Reads another process's memory without stopping it (process_vm_readv). The process may end or become another program at any
// instant: what is read belongs to it only if it was still the same one afterwards, which is the caller's to find out.
class Memory {
 public:
  explicit Memory(int pid) : pid_(pid) {}

  // Everything or an error, in one system call for up to 1024 pieces. kNotFound: the process is gone; kUnauthorized: the kernel
  // does not let us; kInvalid: an address is not mapped, and which.
  [[nodiscard]] Status read(std::span<const Piece> pieces) const;
  // `size` bytes from each of `addresses`, one behind the other into `to`. What is not mapped is left out: `ok[i]` tells.
  // Errors as above, but never kInvalid.
  [[nodiscard]] Status read_each(std::span<const uint64_t> addresses, size_t size, std::byte* to, std::vector<bool>& ok) const;

 private:
  int pid_;
};

}  // namespace mapshift::observe::go
