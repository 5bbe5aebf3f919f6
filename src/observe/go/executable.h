// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "observe/go/binary.h"
#include "observe/go/procfs.h"

namespace mapshift::observe::go {

// Names of the functions that goroutines start in, of one executable. Keeps those that were asked for; all names of the file are
// read when an unknown one comes up and dropped again, for they take megabytes. Thread-safe.
class StartNames {
 public:
  struct Name {
    std::string text;     // "main.worker", or the address where nobody knows
    bool system = false;  // the runtime does not count such goroutines: its own workers
  };
  // Addresses are as linked.
  void learn(const std::vector<uint64_t>& addresses, const Fd& executable);
  [[nodiscard]] Name at(uint64_t address) const;
  // The file has no names: goroutines of the runtime itself cannot be told from others.
  [[nodiscard]] bool unreadable() const;

 private:
  static constexpr size_t kMost = 4096;
  mutable std::mutex mutex_;
  std::unordered_map<uint64_t, Name> known_;
  bool unreadable_ = false;
};

// What is known of an executable file. Exactly one of three: not Go, refused with a reason, or understood.
struct Executable {
  bool is_go = false;
  std::shared_ptr<const Binary> binary = {};
  std::string refusal = {};
  std::shared_ptr<StartNames> names = std::make_shared<StartNames>();
};

// Each file is analysed once. The oldest verdicts are forgotten beyond a bound. Thread-safe; the analysis holds no lock.
class Executables {
 public:
  [[nodiscard]] bool known_not_go(const FileKey& key);  // most executables of most machines: they are not even opened
  [[nodiscard]] std::shared_ptr<const Executable> look(const Fd& file, const FileKey& key);

 private:
  static constexpr size_t kMost = 2048;
  std::mutex mutex_;
  std::map<FileKey, std::shared_ptr<const Executable>> known_;
  std::list<FileKey> order_;  // oldest first
};

// Whether it is a 64-bit ELF file with the section that every Go linker writes: all that is done with most executables.
[[nodiscard]] bool has_go_section(int fd);
// Goroutines that the runtime does not count as the program's: those it started for itself (runtime.isSystemGoroutine).
[[nodiscard]] bool is_system_function(std::string_view name);

}  // namespace mapshift::observe::go
