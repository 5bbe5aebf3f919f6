// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace mapshift::test {

// Moves this process into a cgroup of its own while it lives. The path is empty where there is no cgroup2.
class PrivateCgroup {
 public:
  PrivateCgroup() {
    for (const std::string mount : {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"}) {
      if (path_.empty() && std::filesystem::exists(mount + "/cgroup.procs")) {
        root_ = mount, path_ = mount + "/mapshift-test-" + std::to_string(::getpid());
      }
    }
    std::error_code refused;
    if (!path_.empty() && std::filesystem::create_directory(path_, refused)) enter(path_);
  }
  PrivateCgroup(const PrivateCgroup&) = delete;
  PrivateCgroup& operator=(const PrivateCgroup&) = delete;
  ~PrivateCgroup() {
    if (path_.empty()) return;
    enter(root_);
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  static void enter(const std::string& cgroup) { std::ofstream(cgroup + "/cgroup.procs") << ::getpid(); }
  std::string root_, path_;
};

}  // namespace mapshift::test
