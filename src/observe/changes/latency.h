// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

#include "observe/histogram.h"

namespace mapshift::observe::changes {

// Adds to a counter that one thread writes and others read: no locked instruction.
inline void bump(std::atomic<uint64_t>& counter, uint64_t by = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

// Durations in powers of two from 1 microsecond to 17 seconds. One thread observes, any may read.
class Latency {
 public:
  void observe(uint64_t ns) {
    const auto bits = static_cast<size_t>(std::bit_width(ns == 0 ? 0 : ns - 1));  // smallest k with ns <= 2^k
    bump(counts_[std::clamp(bits, kFirst, kFirst + kBounds) - kFirst]);
    bump(sum_ns_, ns);
  }
  [[nodiscard]] Histogram histogram() const {
    Histogram out;
    for (size_t i = 0; i < kBounds; ++i) out.bounds.push_back(static_cast<double>(uint64_t{1} << (kFirst + i)) / 1e9);
    for (const auto& count : counts_) out.counts.push_back(count.load(std::memory_order_relaxed));
    out.sum = static_cast<double>(sum_ns_.load(std::memory_order_relaxed)) / 1e9;
    return out;
  }

 private:
  static constexpr size_t kFirst = 10, kBounds = 25;
  std::array<std::atomic<uint64_t>, kBounds + 1> counts_{};
  std::atomic<uint64_t> sum_ns_{0};
};

}  // namespace mapshift::observe::changes
