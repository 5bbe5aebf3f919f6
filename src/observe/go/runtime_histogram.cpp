// SPDX-License-Identifier: Apache-2.0
#include "observe/go/runtime_histogram.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace mapshift::observe::go {
namespace {

struct Shape {
  unsigned sub_bits;  // each power of two is divided into 1 << sub_bits
  unsigned min_bits;  // durations with fewer significant bits share the lowest group
  size_t groups;
};

constexpr Shape shape(HistogramForm form) {
  switch (form) {
    case HistogramForm::kLinear16: return {4, 5, 45};
    case HistogramForm::kLinear4: return {2, 9, 40};
  }
  return {};
}

size_t shown_bucket(uint64_t low) {
  const unsigned bits = static_cast<unsigned>(std::bit_width(low));  // low < 2^bits
  return bits <= 10 ? 0 : std::min<size_t>(bits - 10, kShownBounds);
}

}  // namespace

std::optional<HistogramForm> histogram_form(size_t size) {
  if (size == kLinear16Size) return HistogramForm::kLinear16;
  if (size == kLinear4Size) return HistogramForm::kLinear4;
  return {};
}

size_t counters(HistogramForm form) { return shape(form).groups << shape(form).sub_bits; }

uint64_t lower_bound_ns(HistogramForm form, size_t counter) {
  const Shape s = shape(form);
  const size_t group = counter >> s.sub_bits;
  const uint64_t sub = counter & ((uint64_t{1} << s.sub_bits) - 1);
  // The lowest group starts at 0 and is divided as the power of two above it.
  if (group == 0) return sub << (s.min_bits - 1 - s.sub_bits);
  const unsigned bit = s.min_bits + static_cast<unsigned>(group) - 2;
  return (uint64_t{1} << bit) | (sub << (bit - s.sub_bits));
}

Histogram thin(HistogramForm form, std::span<const uint64_t> words) {
  Histogram out;
  out.sum_is_estimate = true;
  out.bounds.reserve(kShownBounds);
  for (size_t i = 0; i < kShownBounds; ++i) out.bounds.push_back(static_cast<double>(shown_bound_ns(i)) / 1e9);
  out.counts.assign(kShownBounds + 1, 0);
  const size_t count = counters(form);
  if (words.size() <= count) return out;
  double sum_ns = 0;
  for (size_t i = 0; i < count; ++i) {
    if (words[i] == 0) continue;
    const uint64_t low = lower_bound_ns(form, i);
    out.counts[shown_bucket(low)] += words[i];
    sum_ns += static_cast<double>(words[i]) * (static_cast<double>(low) + static_cast<double>(lower_bound_ns(form, i + 1))) / 2;
  }
  out.counts.front() += words[count];  // underflow
  if (words.size() > count + 1) {
    out.counts.back() += words[count + 1];
    sum_ns += static_cast<double>(words[count + 1]) * static_cast<double>(lower_bound_ns(form, count));
  }
  out.sum = sum_ns / 1e9;
  return out;
}

uint64_t observations(std::span<const uint64_t> words) { return std::accumulate(words.begin(), words.end(), uint64_t{0}); }

}  // namespace mapshift::observe::go
