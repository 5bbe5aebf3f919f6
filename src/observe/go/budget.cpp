// SPDX-License-Identifier: Apache-2.0
#include "observe/go/budget.h"

#include <algorithm>

namespace mapshift::observe::go {
namespace {

double seconds(Nanos time) { return Seconds(time).count(); }
Nanos nanos(double value) { return std::chrono::duration_cast<Nanos>(Seconds(value)); }

}  // namespace

void Budget::used(Nanos at, double cpu_seconds) {
  if (used_.empty()) began_ = at;
  used_.push_back({at, cpu_seconds});
  // One sample older than the minute stays: from it the minute's use is counted.
  while (used_.size() > 2 && used_[1].at <= at - kMinute) used_.pop_front();
}

void Budget::spent(Nanos at, double value) {
  spent_.push_back({at, value});
  while (spent_.front().at <= at - kMinute) spent_.pop_front();
}

void Budget::window(WindowKind kind, Nanos began, Nanos ended, double cost, double fixed) {
  const double length = std::max(seconds(ended - began), 1e-3);
  double& known = cost_rate_[static_cast<size_t>(kind)];
  known = known == 0 ? cost / length : (known + cost / length) / 2;
  known = std::max(known, 1e-9);
  last_began_ = began;
  last_cost_ = cost + fixed;
  windows_.push_back({began, ended});
  while (windows_.front().ended <= ended - kMinute) windows_.pop_front();
}

Nanos Budget::age(Nanos now) const { return used_.empty() ? Nanos(0) : std::clamp(now - began_, Nanos(0), kMinute); }

double Budget::earned(Nanos now) const {
  if (used_.empty()) return 0;
  return share_ * std::max(used_.back().value - used_.front().value, 0.0) + kFloor * seconds(age(now));
}

double Budget::rate(Nanos now) const {
  const double over = seconds(age(now));
  return over > 0 ? std::max(earned(now) / over, kFloor) : kFloor;
}

double Budget::paid(Nanos now) const {
  double sum = 0;
  for (const Amount& amount : spent_) sum += amount.at > now - kMinute ? amount.value : 0;
  return sum;
}

WindowPlan Budget::plan(WindowKind kind, Nanos now, double fixed) const {
  if (always()) return {now, kLongest, std::numeric_limits<double>::infinity()};
  if (never() || used_.empty()) return {};
  const double income = rate(now);
  const double left = earned(now) - paid(now);
  const double cost = cost_rate_[static_cast<size_t>(kind)];
  WindowPlan plan{now, kShortest, 0};
  // One window pays back what the one before cost; it never waits longer than a minute, when the ledger forgets.
  if (last_cost_ > 0) plan.earliest = std::max(now, last_began_ + std::min(nanos(last_cost_ / income), kMinute));
  if (cost > 0) {
    const double affordable = std::min(income / cost * seconds(kPeriod), (left - fixed) / cost);
    plan.length = std::clamp(nanos(std::min(affordable, seconds(kLongest))), kShortest, kLongest);
  }
  const double needed = fixed + cost * seconds(kShortest);
  if (left < needed) plan.earliest = std::max(plan.earliest, now + std::min(nanos((needed - left) / income), kMinute));
  plan.allowance = std::max(left - fixed, 0.0);
  return plan;
}

double Budget::overhead(Nanos now) const {
  if (used_.size() < 2) return 0;
  const double cpu = used_.back().value - used_.front().value;
  return cpu > 0 ? paid(now) / cpu : 0;
}

double Budget::duty(Nanos now) const {
  const Nanos over = age(now);
  if (over <= Nanos(0)) return 0;
  Nanos attached{0};
  for (const Span& span : windows_) attached += std::max(span.ended - std::max(span.began, now - over), Nanos(0));
  return std::min(seconds(attached) / seconds(over), 1.0);
}

}  // namespace mapshift::observe::go
