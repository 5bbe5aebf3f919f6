// SPDX-License-Identifier: Apache-2.0
#include "observe/histogram.h"

#include <numeric>

namespace mapshift::observe {

uint64_t Histogram::total() const { return std::accumulate(counts.begin(), counts.end(), uint64_t{0}); }

std::optional<Histogram> since(const Histogram& now, const Histogram& before) {
  if (before.counts.empty()) return now;
  if (now.bounds != before.bounds || now.counts.size() != before.counts.size()) return {};
  Histogram out = now;
  for (size_t i = 0; i < out.counts.size(); ++i) {
    if (now.counts[i] < before.counts[i]) return {};
    out.counts[i] -= before.counts[i];
  }
  out.sum -= before.sum;
  return out;
}

std::optional<double> quantile(const Histogram& histogram, double q) {
  const auto total = static_cast<double>(histogram.total());
  if (total == 0 || histogram.bounds.empty()) return {};
  const double rank = q * total;
  double below = 0;
  for (size_t i = 0; i < histogram.bounds.size(); ++i) {
    const auto count = static_cast<double>(histogram.counts[i]);
    if (count > 0 && below + count >= rank) {
      const double low = i == 0 ? 0 : histogram.bounds[i - 1];
      return low + (histogram.bounds[i] - low) * (rank - below) / count;
    }
    below += count;
  }
  return histogram.bounds.back();
}

std::optional<double> highest(const Histogram& histogram) {
  for (size_t i = histogram.counts.size(); i-- > 0;) {
    if (histogram.counts[i] == 0) continue;
    if (histogram.bounds.empty()) return {};
    return histogram.bounds[i < histogram.bounds.size() ? i : histogram.bounds.size() - 1];
  }
  return {};
}

}  // namespace mapshift::observe
