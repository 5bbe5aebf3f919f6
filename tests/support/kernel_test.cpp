// SPDX-License-Identifier: Apache-2.0
#include "kernel_test.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace mapshift::test {

std::string missing_privilege() {
  if (::geteuid() != 0) return "needs root";
  const int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "probe", 4, 4, 1, nullptr);
  if (fd < 0) return std::string("cannot make a BPF map: ") + std::strerror(errno);
  ::close(fd);
  return {};
}

bool kernel_required() {
  const char* value = std::getenv("MAPSHIFT_REQUIRE_KERNEL");
  return value != nullptr && std::strcmp(value, "1") == 0;
}

bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace mapshift::test
