// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <condition_variable>
#include <deque>
#include <mutex>
#include <span>

#include "observe/changes/module_rings.h"

namespace mapshift::observe::changes {

// The last records of one module ring, undecoded: whoever wants to see them decodes them on its own thread. Thread-safe.
class RecordQueue {
 public:
  struct Kept {
    uint64_t seq = 0;
    Nanos read_at{0};
    TypeRef type;
    std::vector<std::byte> bytes;
  };
  void push(Nanos read_at, const TypeRef& type, std::span<const std::byte> bytes);
  void close();
  [[nodiscard]] uint64_t last();

  struct Taken {
    std::vector<Kept> records;
    uint64_t missed = 0;  // between `after` and the first one
    bool closed = false;
  };
  // Records after the number `after`, at most `limit`; waits up to `wait` for the first one.
  [[nodiscard]] Taken take(uint64_t after, Nanos wait, size_t limit);

  static constexpr size_t kMaxRecords = 8192, kMaxBytes = 4u << 20;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Kept> kept_;
  size_t bytes_ = 0;
  uint64_t last_ = 0;
  bool closed_ = false;
};

}  // namespace mapshift::observe::changes
