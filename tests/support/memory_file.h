// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"

namespace mapshift::test {

// A file without a name that holds these bytes; not valid() when the kernel refuses.
inline Fd memory_file(std::span<const uint8_t> bytes) {
  Fd out(::memfd_create("test", MFD_CLOEXEC));
  size_t done = 0;
  while (out.valid() && done < bytes.size()) {
    const ssize_t n = ::write(out.get(), bytes.data() + done, bytes.size() - done);
    if (n <= 0) return {};
    done += static_cast<size_t>(n);
  }
  return out;
}

inline std::vector<uint8_t> file_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace mapshift::test
