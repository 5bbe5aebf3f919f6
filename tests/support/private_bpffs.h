// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

namespace mapshift::test {

// A BPF file system of this test's own, in a mount namespace of this process's own: even a crash leaves no pin and no
// mount. Threads and children that start later see it as well. Needs root.
class PrivateBpffs {
 public:
  PrivateBpffs();
  PrivateBpffs(const PrivateBpffs&) = delete;
  PrivateBpffs& operator=(const PrivateBpffs&) = delete;
  ~PrivateBpffs();
  [[nodiscard]] const std::string& problem() const { return problem_; }  // empty when it is mounted
  [[nodiscard]] const std::string& path() const { return path_; }
  // Every name in it, folders too, sorted.
  [[nodiscard]] std::vector<std::string> listing() const;

 private:
  std::string path_, problem_;
};

}  // namespace mapshift::test
