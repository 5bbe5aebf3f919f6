// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "observe/go/labels.h"
#include "observe/go/process.h"

namespace mapshift::observe::go {

// The Go processes that are known, by pid, in the order they were found. Thread-safe; changed by one thread only.
class Roster {
 public:
  using Entry = std::shared_ptr<Process>;
  // With a name of its own until remove().
  [[nodiscard]] Entry name(Found found);
  void free_name(const Entry& process);  // of one that was not added
  void add(Entry process);
  void remove(const Entry& process);

  [[nodiscard]] Entry find(int pid) const;
  [[nodiscard]] std::vector<Entry> all() const;  // the first found first
  [[nodiscard]] size_t captured() const;
  [[nodiscard]] size_t size() const;

 private:
  mutable std::mutex mutex_;
  Labels labels_;
  uint64_t next_ = 0;
  std::map<uint64_t, Entry> by_order_;
  std::map<int, uint64_t> by_pid_;
};

}  // namespace mapshift::observe::go
