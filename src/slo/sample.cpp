// SPDX-License-Identifier: Apache-2.0
#include "slo/sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace mapshift::slo {
namespace {

using Kind = Window::Kind;

bool is_counter(double value) { return std::isfinite(value) && value >= 0; }

double seconds_between(const Sample& before, const Sample& now) {
  return std::chrono::duration_cast<Seconds>(now.at - before.at).count();
}

Window gauge(const Sample& now) {
  if (!now.value && now.opens) return {Kind::kFirst, 0, 0, "first reading", true};
  if (!now.value) return {Kind::kNoData, 0, 0, "no data"};
  if (std::isnan(*now.value)) return {Kind::kNoData, 0, now.samples, "the value is not a number"};
  return {Kind::kValue, *now.value, now.samples, {}, true};
}

// Why the counters of one reading cannot be used, or a window of kind kValue.
Window check_counters(Reading reading, const Sample& now) {
  const bool present = reading == Reading::kRate ? now.value.has_value() : now.num.has_value() && now.den.has_value();
  if (!present) return {Kind::kNoData, 0, 0, "no data"};
  const bool sane = reading == Reading::kRate ? is_counter(*now.value) : is_counter(*now.num) && is_counter(*now.den);
  if (!sane || !is_counter(now.samples)) return {Kind::kTrouble, 0, 0, "a counter is negative or not finite"};
  return {};
}

bool went_back(Reading reading, const Sample& before, const Sample& now) {
  if (now.samples < before.samples) return true;
  if (reading == Reading::kRate) return *now.value < *before.value;
  return *now.num < *before.num || *now.den < *before.den;
}

Window increments(Reading reading, const Sample& before, const Sample& now) {
  const double observed = now.samples - before.samples;
  if (reading == Reading::kRate) {
    const double added = *now.value - *before.value;
    return {Kind::kValue, added / seconds_between(before, now), now.samples > 0 ? observed : added, {}, true};
  }
  const double den = *now.den - *before.den;
  const double samples = now.samples > 0 ? observed : den;
  if (den == 0) return {Kind::kNoData, 0, samples, "nothing was counted in this window", true};
  return {Kind::kValue, (*now.num - *before.num) / den, samples, {}, true};
}

std::optional<double> median(std::vector<double> values) {
  if (values.empty()) return {};
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  if (values.size() % 2 == 1) return *middle;
  return *middle / 2 + *std::max_element(values.begin(), middle) / 2;
}

std::optional<double> gauge_baseline(const Objective& objective, std::span<const Sample> readings) {
  std::vector<double> values;
  for (const Sample& sample : readings) {
    if (!sample.error.empty() || !sample.value || !std::isfinite(*sample.value)) continue;
    if (sample.samples >= objective.min_samples) values.push_back(*sample.value);
  }
  return median(std::move(values));
}

}  // namespace

Window window_of(Reading reading, const Sample* before, const Sample& now) {
  if (!now.error.empty()) return {Kind::kTrouble, 0, 0, now.error};
  if (before != nullptr && now.at <= before->at)
    return {Kind::kTrouble, 0, 0, "the clock did not advance since the last reading"};
  if (reading == Reading::kGauge) return gauge(now);
  Window checked = check_counters(reading, now);
  if (checked.kind != Kind::kValue) return checked;
  if (before == nullptr) return {Kind::kFirst, 0, 0, "first reading", true};
  if (went_back(reading, *before, now)) return {Kind::kFirst, 0, 0, "a counter was reset", true};
  return increments(reading, *before, now);
}

std::optional<double> baseline_of(const Objective& objective, std::span<const Sample> readings) {
  const Reading reading = reading_of(objective);
  if (reading == Reading::kGauge) return gauge_baseline(objective, readings);
  const Sample* before = nullptr;
  double numerator = 0, denominator = 0, samples = 0;
  for (const Sample& now : readings) {
    const Window window = window_of(reading, before, now);
    if (!window.opens) continue;
    if (window.kind == Kind::kValue) {
      numerator += reading == Reading::kRate ? *now.value - *before->value : *now.num - *before->num;
      denominator += reading == Reading::kRate ? seconds_between(*before, now) : *now.den - *before->den;
      samples += window.samples;
    }
    before = &now;
  }
  if (denominator <= 0 || samples < objective.min_samples) return {};
  return numerator / denominator;
}

}  // namespace mapshift::slo
