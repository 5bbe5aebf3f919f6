// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"

namespace mapshift::test {

// tests/go/known_answers, running: one of this process's children, killed at the end if it has not ended. Not thread-safe.
class Program {
 public:
  // Started and "ready".
  Program(const std::string& path, const std::string& mode, int count, const std::string& hold);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Lets it do its work, and gives what it says of it.
  std::map<std::string, uint64_t> work();
  void go();
  // Lines until "done"; all that it printed since go().
  std::string finish();
  void kill();

 private:
  [[nodiscard]] std::optional<std::string> line();
  pid_t pid_ = -1;
  Fd input_, output_;
  std::string buffered_;
};

// Of the toolchains that this machine has, oldest first: "1.19.8".
[[nodiscard]] std::vector<std::string> go_versions();
[[nodiscard]] int minor_of(const std::string& version);
[[nodiscard]] std::string known_answers(const std::string& version);
// Of the newest toolchain; empty without any.
[[nodiscard]] std::string newest();

}  // namespace mapshift::test
