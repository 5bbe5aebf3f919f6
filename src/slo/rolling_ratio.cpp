// SPDX-License-Identifier: Apache-2.0
#include "slo/rolling_ratio.h"

namespace mapshift::slo {
namespace {

constexpr int kResolution = 256;

}  // namespace

RollingRatio::RollingRatio(Nanos length) : length_(length), step_(length / kResolution) {}

void RollingRatio::add(Nanos at, double num, double den) {
  latest_ = {at, num, den};
  if (points_.empty() || at - points_.back().at >= step_) points_.push_back(latest_);
  while (points_.size() >= 2 && at - points_[1].at >= length_) points_.pop_front();
}

void RollingRatio::clear() { points_.clear(); }

RollingRatio::Part RollingRatio::over() const {
  if (points_.empty()) return {};
  const Point& first = points_.front();
  return {latest_.num - first.num, latest_.den - first.den, latest_.at - first.at};
}

}  // namespace mapshift::slo
