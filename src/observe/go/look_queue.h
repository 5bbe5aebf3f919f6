// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "base/clock.h"

namespace mapshift::observe::go {

// Processes to look at, each once however often it was asked for, at their time. Thread-safe.
class LookQueue {
 public:
  void push(int pid, Nanos delay = Nanos{0});  // the earlier time wins
  void push_all();                             // of all processes: next() answers kAll
  void close();                                // next() answers nothing any more
  // Waits. Nothing when closed.
  [[nodiscard]] std::optional<int> next();
  static constexpr int kAll = 0;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int, Nanos> due_;
  std::set<std::pair<Nanos, int>> order_;  // the same, the earliest first
  bool all_ = false, closed_ = false;
};

}  // namespace mapshift::observe::go
