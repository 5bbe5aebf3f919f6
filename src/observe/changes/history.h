// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "mapshift/changes.h"
#include "observe/changes/change.h"

namespace mapshift::observe::changes {

// The last changes of one map, in the order in which they were read. One thread appends; any number of threads read, each at
// its own position, without a lock and without slowing the first: whoever is overtaken notices.
class History {
 public:
  // `capacity`: a power of two. `payload`: bytes of key and value that an entry has room for, each rounded up to 8.
  History(size_t capacity, size_t payload);

  // The writer's. What was appended is seen by readers after publish().
  void append(const ms_change& change, std::span<const std::byte> payload);
  void append_resync(uint64_t version, uint64_t lost, uint32_t reason);
  void publish() { head_.store(end_, std::memory_order_release); }

  // Positions grow by one for each entry. Everything below head() can be read, as long as it is not older than tail().
  [[nodiscard]] uint64_t head() const { return head_.load(std::memory_order_acquire); }
  [[nodiscard]] uint64_t tail() const;
  // The highest number that was ever overwritten, so that nobody believes to be complete from there.
  [[nodiscard]] uint64_t forgotten() const { return forgotten_.load(std::memory_order_acquire); }

  struct Entry {
    Change change;
    uint64_t lost = 0;
    uint32_t resync = 0;  // not 0: no change but a resync for this reason; change.seq is the version
  };
  // False: overwritten meanwhile.
  [[nodiscard]] bool read(uint64_t position, Entry& entry) const;
  // As read(), the number alone.
  [[nodiscard]] bool number_at(uint64_t position, uint64_t& number) const;

 private:
  [[nodiscard]] std::atomic<uint64_t>* slot(uint64_t position) const { return words_.get() + (position & (capacity_ - 1)) * width_; }
  std::atomic<uint64_t>* begin_append();
  [[nodiscard]] bool still_there(uint64_t position) const;

  size_t capacity_, width_;  // width in words
  std::unique_ptr<std::atomic<uint64_t>[]> words_;
  uint64_t end_ = 0;                        // the writer's
  std::atomic<uint64_t> reserved_{0};       // entries whose writing has begun
  std::atomic<uint64_t> head_{0};
  std::atomic<uint64_t> forgotten_{0};
};

}  // namespace mapshift::observe::changes
