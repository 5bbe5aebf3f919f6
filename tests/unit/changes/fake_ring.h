// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <cstring>
#include <vector>

#include "observe/changes/reader.h"

namespace mapshift::test {

using namespace observe::changes;

// A ring in memory that is laid out as the kernel's, with a producer that the test drives; and the slots beside it.
class FakeRing final : public ReaderPort {
 public:
  explicit FakeRing(uint64_t size = 1u << 16)
      : size_(size), words_(2 * size / 8), reader_(&consumer_, &producer_, reinterpret_cast<const std::byte*>(words_.data()), size) {}

  // Room for a record, as bpf_ringbuf_reserve(): the position, or nothing.
  std::optional<uint64_t> reserve(size_t length) {
    const uint64_t total = (length + RingReader::kHeader + 7) / 8 * 8, at = producer_.load();
    if (at + total - consumer_.load() > size_) return {};
    put_header(at, static_cast<uint32_t>(length) | RingReader::kBusy);
    producer_.store(at + total);
    return at;
  }
  void commit(uint64_t at, const void* bytes, size_t length, bool discard = false) {
    for (size_t i = 0; i < length; ++i) put_byte(at + RingReader::kHeader + i, static_cast<const std::byte*>(bytes)[i]);
    put_header(at, static_cast<uint32_t>(length) | (discard ? RingReader::kDiscard : 0));
  }
  bool send(const void* bytes, size_t length) {
    const auto at = reserve(length);
    if (at) commit(*at, bytes, length);
    return at.has_value();
  }
  void put_header(uint64_t at, uint32_t word) {
    for (size_t i = 0; i < 4; ++i) put_byte(at + i, static_cast<std::byte>(word >> 8 * i));
  }
  void advance(uint64_t bytes) { producer_.fetch_add(bytes); }

  RingReader& ring() override { return reader_; }
  [[nodiscard]] uint64_t sequence(uint32_t slot) const override { return numbers[slot].load(); }
  void set_wake_at(uint64_t) override {}
  void wait(Nanos) override {}
  void wake() override {}

  std::array<std::atomic<uint64_t>, MS_CHANGE_SLOTS> numbers{};

 private:
  void put_byte(uint64_t at, std::byte byte) {
    auto* bytes = reinterpret_cast<std::byte*>(words_.data());
    bytes[at % size_] = byte;
    bytes[at % size_ + size_] = byte;
  }

  uint64_t size_;
  std::vector<uint64_t> words_;  // the kernel's is aligned as well
  std::atomic<uint64_t> consumer_{0}, producer_{0};
  RingReader reader_;
};

inline ms_change change_of(uint16_t slot, uint64_t seq) {
  ms_change change{};
  change.slot = slot;
  change.seq = seq;
  change.timestamp_ns = static_cast<uint64_t>(monotonic_now().count());
  change.op = MS_CHANGE_UPDATE;
  change.source = MS_CHANGE_INSTRUMENTED;
  return change;
}

}  // namespace mapshift::test
