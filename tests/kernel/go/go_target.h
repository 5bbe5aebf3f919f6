// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "observe/go/capture.h"

namespace mapshift::observe::go::test {

// A running tests/go/figures. Killed at the end.
class GoTarget {
 public:
  explicit GoTarget(const std::string& program) : GoTarget(std::vector<std::string>{program}) {}
  explicit GoTarget(const std::vector<std::string>& command);
  GoTarget(const GoTarget&) = delete;
  GoTarget& operator=(const GoTarget&) = delete;
  ~GoTarget();

  [[nodiscard]] int pid() const { return pid_; }
  // The answer's lines, without the last, "end".
  std::vector<std::string> ask(const std::string& command);
  void tell(const std::string& command);  // without waiting
  void kill();                            // and waits for its end

  struct Own {  // what its runtime says
    std::string version;
    std::map<std::string, uint64_t> values;
    std::map<std::string, std::map<double, uint64_t>> histograms;  // by lower edge in nanoseconds
    bool operator==(const Own&) const = default;
  };
  Own figures();

 private:
  std::string read_line();
  pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
  std::string buffer_;
};

[[nodiscard]] std::vector<std::string> programs();  // paths of all builds of it
[[nodiscard]] std::string newest();                 // one of them, with symbols
// A private copy, removed at the end.
class Copy {
 public:
  explicit Copy(const std::string& of, const std::string& name = "figures-copy");
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;
  ~Copy();
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string folder_, path_;
};

// Captures only executables that fit the glob: others run Go programs on this machine too.
[[nodiscard]] std::unique_ptr<Capture> capture_of(const std::string& path, size_t most = 64);
// The report on a process as soon as there is one; pid 0 when none comes.
[[nodiscard]] ProcessReport report_on(Capture& capture, int pid);
[[nodiscard]] uint64_t count_of(const ProcessReport& report, const std::string& state, const std::string& reason_part);

}  // namespace mapshift::observe::go::test
