// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "kernel/ring_buffer.h"
#include "observe/changes/bell.h"
#include "observe/changes/topic.h"

namespace mapshift::observe::changes {

// What the reader needs of the kernel's side.
class ReaderPort {
 public:
  virtual ~ReaderPort() = default;
  [[nodiscard]] virtual RingReader& ring() = 0;
  [[nodiscard]] virtual uint64_t sequence(uint32_t slot) const = 0;
  // The fill at which producers call wake(); UINT64_MAX: never. A full barrier.
  virtual void set_wake_at(uint64_t bytes) = 0;
  virtual void wait(Nanos timeout) = 0;
  virtual void wake() = 0;
};

// Reads the ring: decodes, counts, finds gaps, appends to the topics' histories. While changes come it naps for short times
// between batches and no producer ever wakes it, unless the ring fills; after a nap without changes it asks to be woken by the
// next one. add() and remove() are for any thread.
class Reader {
 public:
  Reader(ReaderPort& port, Bell& bell) : port_(port), bell_(bell) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { stop(); }

  // Idempotent, each; one thread at a time.
  void start();
  void stop();
  void add(uint32_t slot, std::shared_ptr<Topic> topic);
  void remove(uint32_t slot);
  // The number that the next record of a slot will have, whose programs may be writing: the lowest one in the ring, else the one
  // after the last that was handed out; 0 when a record in the making hides it.
  [[nodiscard]] uint64_t next_number(uint32_t slot);
  // Runs `work` while no batch is under way: the topics' reader calls may be made there.
  template <class Work>
  void between_batches(Work&& work) {
    const std::lock_guard lock(mutex_);
    work();
  }

  // What the thread does, for tests: one batch; true when there may be more. With `tails`, numbers that were handed out last and
  // never came are found as well.
  bool step(bool tails);

  [[nodiscard]] uint64_t records() const { return records_.load(std::memory_order_relaxed); }
  [[nodiscard]] uint64_t malformed() const { return malformed_.load(std::memory_order_relaxed); }
  [[nodiscard]] uint64_t unclaimed() const { return unclaimed_.load(std::memory_order_relaxed); }  // of maps that nobody watches any more
  [[nodiscard]] std::array<Histogram, kSources> latency() const;

 private:
  void run();
  void take(std::span<const std::byte> bytes);
  void settle(bool tails);

  ReaderPort& port_;
  Bell& bell_;
  std::mutex mutex_;  // held for a batch
  std::array<std::shared_ptr<Topic>, MS_CHANGE_SLOTS> topics_;
  std::vector<uint32_t> watched_;
  std::vector<Topic*> touched_;
  std::array<bool, MS_CHANGE_SLOTS> is_touched_{};
  uint64_t now_ = 0, damaged_ = 0;
  uint32_t until_clock_ = 0;
  std::array<Latency, kSources> latency_;
  std::atomic<uint64_t> records_{0}, malformed_{0}, unclaimed_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace mapshift::observe::changes
