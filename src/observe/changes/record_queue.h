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
  // The first record has the number after `first`.
  explicit RecordQueue(uint64_t first) : first_(first), last_(first), dropped_(first) {}

  struct Kept {
    uint64_t seq = 0;
    Nanos read_at{0};
    TypeRef type;  // null: there are no bytes
    std::vector<std::byte> bytes;
  };
  void push(Nanos read_at, const TypeRef& type, std::span<const std::byte> bytes);
  // A number whose record nobody will get: it is not as declared.
  void skip();
  // Wakes who waits: once for many records.
  void publish() { changed_.notify_all(); }
  void close();
  [[nodiscard]] uint64_t first() const { return first_; }
  [[nodiscard]] uint64_t last();
  [[nodiscard]] uint64_t dropped();  // the highest number of those that were kept too long

  struct Taken {
    std::vector<Kept> records;
    uint64_t end = 0;      // numbers up to here that are not in `records` are lost
    uint64_t dropped = 0;  // those up to here because nobody took them in time
    bool closed = false;
  };
  // Records after the number `after`, at most `limit`; waits up to `wait` for the next number.
  [[nodiscard]] Taken take(uint64_t after, Nanos wait, size_t limit);

  static constexpr size_t kMaxRecords = 8192, kMaxBytes = 4u << 20;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Kept> kept_;
  size_t bytes_ = 0;
  const uint64_t first_;
  uint64_t last_, dropped_;
  bool closed_ = false;
};

}  // namespace mapshift::observe::changes
