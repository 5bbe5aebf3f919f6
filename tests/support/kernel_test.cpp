// SPDX-License-Identifier: Apache-2.0
#include "kernel_test.h"

#include <bpf/bpf.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

namespace mapshift::test {

std::string missing_privilege() {
  if (::geteuid() != 0) return "needs root";
  const int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "probe", 4, 4, 1, nullptr);
  if (fd < 0) return std::string("cannot make a BPF map: ") + std::strerror(errno);
  ::close(fd);
  return {};
}

std::string needs_linux(int major, int minor, const std::string& what) {
  utsname name{};
  int running_major = 0, running_minor = 0;
  if (::uname(&name) != 0 || std::sscanf(name.release, "%d.%d", &running_major, &running_minor) != 2) return "uname failed";
  if (std::pair(running_major, running_minor) >= std::pair(major, minor)) return {};
  return what + " needs Linux " + std::to_string(major) + "." + std::to_string(minor) + "; this is " + name.release;
}

bool kernel_required() {
  const char* value = std::getenv("MAPSHIFT_REQUIRE_KERNEL");
  return value != nullptr && std::strcmp(value, "1") == 0;
}

bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds limit) {
  static const int slowness = std::getenv("MAPSHIFT_IN_VM") == nullptr ? 1 : 10;  // ./dev vm emulates the machine
  const auto deadline = std::chrono::steady_clock::now() + limit * slowness;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace mapshift::test
