// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <span>

#include "base/clock.h"
#include "observe/changes/gaps.h"
#include "observe/changes/history.h"
#include "observe/changes/latency.h"

namespace mapshift::observe::changes {

enum class ResyncReason : uint32_t { kLost = 1, kReplaced = 2, kSlow = 3, kTooOld = 4, kUnknown = 5, kMissed = 6 };
[[nodiscard]] std::string to_string(ResyncReason reason);

// One watched map in user space: its numbers, counters and history. The reader thread calls what is marked so; the rest is for
// any thread.
class Topic {
 public:
  // `first`: the number of the first record, 0 when it is not known. `limits` of a record's payload; what is beyond is
  // malformed, and what is not allowed never reaches the history.
  struct Shape {
    uint64_t first = 0;
    size_t history = 1u << 15;
    uint32_t key_size = 0, value_size = 0;
    bool keys = false, values = false;
  };
  explicit Topic(const Shape& shape);
  // Whether records of that shape can go on here; `first` does not matter.
  [[nodiscard]] bool fits(const Shape& shape) const;

  // Whether it keeps bytes that a topic of that shape may not.
  [[nodiscard]] bool shows_more_than(const Shape& shape) const { return (shape_.keys && !shape.keys) || (shape_.values && !shape.values); }

  // Reader. False: malformed, which is counted, or of an earlier watch.
  template <class Produced>
  bool take(const ms_change& change, std::span<const std::byte> payload, Produced&& produced) {
    if (!well_formed(change, payload.size())) {
      bump(malformed_);
      return false;
    }
    if (!floor_known_) {
      floor_known_ = true;
      floor_.store(change.seq - 1, std::memory_order_relaxed);
    }
    const Gaps::Seen seen = gaps_.take(change.seq, produced);
    if (seen == Gaps::Seen::kOld) return false;
    if (seen == Gaps::Seen::kLate) bump(late_);
    bump(seen_[change.op - 1][change.source - 1]);
    history_.append(change, shape_.keys || shape_.values ? payload : std::span<const std::byte>{});
    return true;
  }
  // Reader. What is certainly lost by now becomes a resync in the history.
  void settle(uint64_t consumed);
  // Reader. Numbers up to `last` were handed out before the ring's end was `produced`.
  void handed_out(uint64_t last, uint64_t produced) { gaps_.handed_out(last, produced); }
  // Reader. Subscribers must read the map again, as it is at `version` or later.
  void resync(uint64_t version, ResyncReason reason);
  // Reader, after a batch. True when somebody waits.
  [[nodiscard]] bool publish();
  [[nodiscard]] bool any_missing() const { return gaps_.any_missing(); }

  [[nodiscard]] const History& history() const { return history_; }
  // The lowest number after which the history is complete.
  [[nodiscard]] uint64_t complete_from() const;
  [[nodiscard]] uint64_t seen(size_t op, size_t source) const { return seen_[op][source].load(std::memory_order_relaxed); }
  [[nodiscard]] uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }
  [[nodiscard]] uint64_t malformed() const { return malformed_.load(std::memory_order_relaxed); }
  [[nodiscard]] uint64_t late() const { return late_.load(std::memory_order_relaxed); }

  // Waits until the history's head is not `head`, or close() was called.
  void wait_beyond(uint64_t head, Nanos limit);
  void wake_all();
  [[nodiscard]] uint32_t waiting() const { return waiting_.load(std::memory_order_relaxed); }
  void close();
  // Before close(): what it keeps may not be told any more.
  void revoke() { revoked_.store(true, std::memory_order_release); }
  [[nodiscard]] bool revoked() const { return revoked_.load(std::memory_order_acquire); }
  [[nodiscard]] bool closed() const { return closed_.load(std::memory_order_acquire); }

 private:
  [[nodiscard]] bool well_formed(const ms_change& change, size_t payload) const;

  Shape shape_;
  Gaps gaps_;
  History history_;
  std::array<std::array<std::atomic<uint64_t>, kSources>, kOps> seen_{};
  std::atomic<uint64_t> lost_{0}, malformed_{0}, late_{0};
  bool floor_known_;             // the reader's
  std::atomic<uint64_t> floor_;  // complete after this number as far as the start goes

  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<uint32_t> waiting_{0};
  std::atomic<bool> closed_{false}, revoked_{false};
};

}  // namespace mapshift::observe::changes
