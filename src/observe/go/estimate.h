// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <mapshift/go.h>

#include <array>
#include <cstdint>

#include "observe/histogram.h"

namespace mapshift::observe::go {

// Counts by the buckets of ms_go_histogram, not necessarily whole.
struct Estimate {
  std::array<double, MS_GO_BUCKETS> counts{};
  double sum = 0;  // seconds

  void add(const Estimate& other, double times);
};

// What was counted in a window: `timed` was seen from its beginning to its end. Of `longer` only the end was seen: the time
// since the window began, which is less than it took. Without a word for those, a window of 20 ms would know no sleep of a
// second at all. They are distributed over the times that they may have taken as the timed ones are (the estimator of Kaplan
// and Meier); what outlived everything that was timed goes into the bucket above what is known of it.
[[nodiscard]] Estimate estimate(const ms_go_histogram& timed, const ms_go_histogram& longer);

// As shown: bounds in seconds, counts rounded down. Rounding down keeps each from ever falling.
[[nodiscard]] Histogram rounded(const Estimate& estimate, bool exact_sum);

}  // namespace mapshift::observe::go
