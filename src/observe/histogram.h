// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

namespace mapshift::observe {

// Durations counted in buckets, as Prometheus has them but not cumulative. `counts` has one element more than `bounds`: what
// lies above the last bound. A histogram that only grows, so the difference of two is what happened between them.
struct Histogram {
  std::vector<double> bounds = {};     // upper bounds in seconds, rising
  std::vector<uint64_t> counts = {};   // per bucket; bounds.size() + 1 of them, or none
  double sum = 0;                      // seconds
  bool sum_is_estimate = false;        // the source keeps no sum: taken from the middles of its own, finer buckets
  [[nodiscard]] uint64_t total() const;
};

// What was counted since `before`, which may be empty; nothing when the bounds differ or a count fell (another process).
[[nodiscard]] std::optional<Histogram> since(const Histogram& now, const Histogram& before);
// Interpolated within its bucket as histogram_quantile() does; nothing without observations. Beyond the last bound: the last bound.
[[nodiscard]] std::optional<double> quantile(const Histogram& histogram, double q);
// Upper edge of the highest bucket that is not empty; nothing without observations. Beyond the last bound: the last bound.
[[nodiscard]] std::optional<double> highest(const Histogram& histogram);

}  // namespace mapshift::observe
