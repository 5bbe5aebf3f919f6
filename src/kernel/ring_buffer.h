// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace mapshift {

// The reading side of a BPF ring buffer's memory, as the kernel lays it out (kernel/bpf/ringbuf.c, uapi): each record has a
// header of 8 bytes whose first word holds its length and the bits below. Owns nothing. One reader thread.
class RingReader {
 public:
  // `data` has 2 * `size` bytes, the second half the first one again, so that no record is torn. `size`: a power of two.
  RingReader(std::atomic<uint64_t>* consumer, const std::atomic<uint64_t>* producer, const std::byte* data, uint64_t size)
      : consumer_(consumer), producer_(producer), data_(data), size_(size), at_(consumer->load(std::memory_order_relaxed)) {}

  // Calls visit(std::span<const std::byte>) for each finished record, at most `limit`, and gives their room back to the
  // producers in steps: each step costs them a cache miss. Returns how many it visited. A span is valid during its call.
  template <class Visit>
  size_t read(size_t limit, Visit&& visit) {
    size_t visited = 0;
    uint64_t end = producer_->load(std::memory_order_acquire);
    uint64_t given_back = at_;
    while (visited < limit) {
      if (at_ >= end) {
        end = producer_->load(std::memory_order_acquire);
        if (at_ >= end) break;
      }
      const auto* header = reinterpret_cast<const std::atomic<uint32_t>*>(data_ + (at_ & (size_ - 1)));
      const uint32_t word = header->load(std::memory_order_acquire);
      if ((word & kBusy) != 0) break;
      const uint32_t length = word & ~(kBusy | kDiscard);
      const uint64_t total = (uint64_t{length} + kHeader + 7) / 8 * 8;
      if (total > end - at_ || total > size_) {  // not the kernel's doing: somebody else wrote the positions
        ++damaged_;
        at_ = end;
        break;
      }
      if ((word & kDiscard) == 0) {
        visit(std::span(data_ + (at_ & (size_ - 1)) + kHeader, length));
        ++visited;
      }
      at_ += total;
      if (at_ - given_back >= kStep) consumer_->store(given_back = at_, std::memory_order_release);
    }
    if (at_ != given_back) consumer_->store(at_, std::memory_order_release);
    return visited;
  }

  // Looks at all records that lie there, and leaves them. False: one that is not finished hides those behind it.
  template <class Visit>
  bool peek(Visit&& visit) const {
    const uint64_t end = producer_->load(std::memory_order_acquire);
    for (uint64_t at = at_; at < end;) {
      const auto* header = reinterpret_cast<const std::atomic<uint32_t>*>(data_ + (at & (size_ - 1)));
      const uint32_t word = header->load(std::memory_order_acquire);
      const uint32_t length = word & ~(kBusy | kDiscard);
      const uint64_t total = (uint64_t{length} + kHeader + 7) / 8 * 8;
      if ((word & kBusy) != 0 || total > end - at || total > size_) return false;
      if ((word & kDiscard) == 0) visit(std::span(data_ + (at & (size_ - 1)) + kHeader, length));
      at += total;
    }
    return true;
  }

  // Positions in bytes since the ring was made. Whatever was reserved before produced() was read lies below it.
  [[nodiscard]] uint64_t produced() const { return producer_->load(std::memory_order_acquire); }
  [[nodiscard]] uint64_t consumed() const { return at_; }
  [[nodiscard]] uint64_t size() const { return size_; }
  [[nodiscard]] uint64_t damaged() const { return damaged_; }  // times that positions and lengths contradicted each other

  static constexpr uint32_t kBusy = 1u << 31, kDiscard = 1u << 30;
  static constexpr uint64_t kHeader = 8;

 private:
  static constexpr uint64_t kStep = 16 * 1024;

  std::atomic<uint64_t>* consumer_;
  const std::atomic<uint64_t>* producer_;
  const std::byte* data_;
  uint64_t size_;
  uint64_t at_;
  uint64_t damaged_ = 0;
};

// A ring buffer map, mapped into this process. Move-only.
class RingBuffer {
 public:
  // Keeps a descriptor of its own. kInvalid when the map is no ring buffer. A ring has one consumer position for the whole
  // host: two processes that read the same one steal from each other.
  [[nodiscard]] static Result<RingBuffer> open(int map_fd, const std::string& name);
  RingBuffer(RingBuffer&& other) noexcept;
  RingBuffer& operator=(RingBuffer&& other) noexcept;
  RingBuffer(const RingBuffer&) = delete;
  RingBuffer& operator=(const RingBuffer&) = delete;
  ~RingBuffer();

  [[nodiscard]] RingReader& reader() { return reader_; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] uint64_t size() const { return size_; }

 private:
  RingBuffer(Fd fd, void* consumer, void* producer, uint64_t size);
  void unmap();

  Fd fd_;
  void* consumer_ = nullptr;  // one page, writable
  void* producer_ = nullptr;  // one page and the data twice, read-only
  uint64_t size_ = 0;
  RingReader reader_;
};

// Sleeps until a ring's producer, or wake(), calls. Thread-safe; one thread waits.
class RingWaiter {
 public:
  enum class Trigger : uint8_t {
    kEdge,   // only a producer's wake-up ends the sleep, whatever lies in the ring
    kLevel,  // records that lie there end it as well
  };
  [[nodiscard]] static Result<RingWaiter> make(Trigger trigger);
  [[nodiscard]] Status add(const RingBuffer& ring);
  void remove(const RingBuffer& ring);  // before the ring goes
  // Negative: without end.
  void wait(Nanos timeout);
  void wake();

 private:
  RingWaiter(Fd epoll, Fd event, Trigger trigger) : epoll_(std::move(epoll)), event_(std::move(event)), trigger_(trigger) {}

  Fd epoll_, event_;
  Trigger trigger_;
};

}  // namespace mapshift
