// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "observe/histogram.h"

namespace mapshift::observe::go {

// The runtime's own histogram of durations (runtime/histogram.go, timeHistogram): counters of 8 bytes whose bounds grow with the
// power of two and lie evenly between two powers. The size of the structure tells which of the two forms it has.
//
// We show the bounds 1024 ns x 2^k, k = 0..20: 1.024 us, 2.048 us, ... 1.074 s. In both forms they are edges of the runtime's own
// buckets, so no count is ever split: what we show is a sum of the runtime's counters. (The runtime's buckets hold
// low <= d < high whole nanoseconds, a Prometheus bucket d <= high: a duration of exactly a bound is counted one bucket higher.)
inline constexpr size_t kShownBounds = 21;
[[nodiscard]] constexpr uint64_t shown_bound_ns(size_t index) { return uint64_t{1024} << index; }

enum class HistogramForm : uint8_t {
  kLinear16,  // up to Go 1.19: 45 powers x 16, then underflow: 5768 bytes
  kLinear4,   // from Go 1.20: 40 powers x 4, then underflow and overflow: 1296 bytes
};
inline constexpr size_t kLinear16Size = 5768, kLinear4Size = 1296;
[[nodiscard]] std::optional<HistogramForm> histogram_form(size_t size);
[[nodiscard]] constexpr size_t size_of(HistogramForm form) { return form == HistogramForm::kLinear16 ? kLinear16Size : kLinear4Size; }

// Lower bound of a counter in nanoseconds; that of counter i + 1 is the upper one of counter i, up to and including the count of
// counters. In the older form everything above its last bound is in the last counter.
[[nodiscard]] uint64_t lower_bound_ns(HistogramForm form, size_t counter);
[[nodiscard]] size_t counters(HistogramForm form);

// `words` is the structure as read. Durations below zero (clocks) are in the lowest bucket. The sum is estimated: each count is
// taken for the middle of its own bucket, at most 1/8 (1/32 up to 1.19) off for each duration from 256 ns on.
[[nodiscard]] Histogram thin(HistogramForm form, std::span<const uint64_t> words);
// Of all counters, as the runtime's own count of observations.
[[nodiscard]] uint64_t observations(std::span<const uint64_t> words);

}  // namespace mapshift::observe::go
