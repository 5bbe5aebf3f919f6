// SPDX-License-Identifier: Apache-2.0
#include "observe/go/estimate.h"

#include <algorithm>
#include <cmath>

namespace mapshift::observe::go {
namespace {

// Upper bound of a bucket in seconds; the last has none, and is taken as twice the one before.
double bound(size_t bucket) { return std::ldexp(1.0, MS_GO_FIRST_BOUND + static_cast<int>(bucket)) / 1e9; }

}  // namespace

void Estimate::add(const Estimate& other, double times) {
  for (size_t i = 0; i < counts.size(); i++) counts[i] += other.counts[i] * times;
  sum += other.sum * times;
}

Estimate estimate(const ms_go_histogram& timed, const ms_go_histogram& longer) {
  Estimate result;
  double at_risk = 0;
  size_t highest = 0;
  for (size_t i = 0; i < MS_GO_BUCKETS; i++) {
    at_risk += static_cast<double>(timed.counts[i] + longer.counts[i]);
    if (longer.counts[i] > 0) highest = i;
  }
  const double all = at_risk;
  double surviving = 1, assigned = 0;
  for (size_t i = 0; i < MS_GO_BUCKETS && at_risk > 0; i++) {
    const auto ended = static_cast<double>(timed.counts[i]);
    const auto lost = static_cast<double>(longer.counts[i]);
    // Those of which no more is known were at risk for half of the bucket, on average.
    const double hazard = ended > 0 ? std::min(ended / std::max(at_risk - lost / 2, ended), 1.0) : 0;
    result.counts[i] = all * surviving * hazard;
    assigned += result.counts[i];
    surviving *= 1 - hazard;
    at_risk -= ended + lost;
  }
  const size_t above = std::min<size_t>(highest + 1, MS_GO_BUCKETS - 1);
  const double rest = std::max(all - assigned, 0.0);
  // Without anything of unknown length the counts are whole, and stay so.
  if (all > 0 && rest > 1e-9 * all) result.counts[above] += rest;
  result.sum = static_cast<double>(timed.sum) / 1e9;
  const bool censored = std::any_of(std::begin(longer.counts), std::end(longer.counts), [](uint64_t n) { return n > 0; });
  if (!censored) {
    for (size_t i = 0; i < MS_GO_BUCKETS; i++) result.counts[i] = static_cast<double>(timed.counts[i]);
    return result;
  }
  for (size_t i = 0; i < MS_GO_BUCKETS; i++) {
    result.sum += std::max(result.counts[i] - static_cast<double>(timed.counts[i]), 0.0) * bound(i) * 0.75;
  }
  return result;
}

Histogram rounded(const Estimate& estimate, bool exact_sum) {
  Histogram histogram;
  for (size_t i = 0; i < MS_GO_BOUNDS; i++) histogram.bounds.push_back(bound(i));
  for (const double count : estimate.counts) histogram.counts.push_back(static_cast<uint64_t>(count + 1e-6));
  histogram.sum = estimate.sum;
  histogram.sum_is_estimate = !exact_sum;
  return histogram;
}

}  // namespace mapshift::observe::go
