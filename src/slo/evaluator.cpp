// SPDX-License-Identifier: Apache-2.0
#include "slo/evaluator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace mapshift::slo {
namespace {

std::optional<double> relative_limit(const Objective& objective, std::optional<double> baseline) {
  if (!objective.max_increase || !baseline || !std::isfinite(*baseline)) return {};
  // The increase is a share of the size of the baseline, so that a negative one still leaves room upwards.
  return *baseline + std::abs(*baseline) * *objective.max_increase;
}

}  // namespace

Evaluator::Evaluator(Objective objective, std::optional<double> baseline)
    : objective_(std::move(objective)), relative_limit_(relative_limit(objective_, baseline)) {
  if (const auto& burn = objective_.burn_rate) burn_.emplace(RollingRatio(burn->long_window), RollingRatio(burn->short_window));
}

std::optional<Measurement> Evaluator::evaluate(const Sample& sample, std::string_view wall) {
  const Window window = window_of(reading_of(objective_), last_ ? &*last_ : nullptr, sample);
  if (window.opens) last_ = sample;
  if (burn_) roll(window, sample);
  if (window.kind == Window::Kind::kFirst) return {};
  Measurement out = judge(window);
  out.at = wall;
  count(out);
  return out;
}

void Evaluator::roll(const Window& window, const Sample& sample) {
  if (!window.opens) return;
  for (RollingRatio* part : {&burn_->long_part, &burn_->short_part}) {
    if (window.kind == Window::Kind::kFirst) part->clear();
    part->add(sample.at, *sample.num, *sample.den);
  }
}

void Evaluator::judge_burn(Measurement& out) const {
  const double budget = 1 - objective_.burn_rate->objective;
  const auto rate_of = [budget](const RollingRatio::Part& part) { return part.num / part.den / budget; };
  const RollingRatio::Part long_part = burn_->long_part.over(), short_part = burn_->short_part.over();
  const double fewest = std::min(long_part.den, short_part.den);
  if (fewest <= 0 || fewest < objective_.min_samples) {
    out.outcome = Outcome::kInconclusive;
    out.message = fewest <= 0 ? "nothing was counted in a window of the burn rate"
                              : fmt::format("{:g} samples in a window of the burn rate, fewer than minSamples {:g}", fewest,
                                            objective_.min_samples);
    return;
  }
  const double long_rate = rate_of(long_part), short_rate = rate_of(short_part);
  out.value = std::min(long_rate, short_rate);
  out.limit = objective_.burn_rate->factor;
  if (*out.value <= *out.limit) return;
  out.outcome = Outcome::kFail;
  out.message = fmt::format("the error budget burns {:g} times too fast over {} and {:g} times over {}, above the limit {:g} (burnRate)",
                            long_rate, format_duration(long_part.covered), short_rate, format_duration(short_part.covered), *out.limit);
}

Measurement Evaluator::judge(const Window& window) const {
  Measurement out{.objective = objective_.name, .at = {}};
  if (window.kind == Window::Kind::kTrouble) {
    out.outcome = Outcome::kError;
    out.message = window.message;
  } else if (burn_ && window.opens) {
    judge_burn(out);
  } else if (window.kind == Window::Kind::kNoData) {
    out.outcome = Outcome::kInconclusive;
    out.message = window.message;
  } else if (window.samples < objective_.min_samples) {
    out.value = window.value;
    out.outcome = Outcome::kInconclusive;
    out.message = fmt::format("{:g} samples, fewer than minSamples {:g}", window.samples, objective_.min_samples);
  } else {
    compare(window.value, out);
  }
  return out;
}

void Evaluator::compare(double value, Measurement& out) const {
  out.value = value;
  const auto broken = [&out, value](double limit, std::string_view word, std::string_view name) {
    out.limit = limit;
    out.outcome = Outcome::kFail;
    out.message = fmt::format("{:g} is {} the limit {:g} ({})", value, word, limit, name);
  };
  if (objective_.max && value > *objective_.max) return broken(*objective_.max, "above", "max");
  if (objective_.min && value < *objective_.min) return broken(*objective_.min, "below", "min");
  if (relative_limit_ && value > *relative_limit_) return broken(*relative_limit_, "above", "maxIncrease");
  if (objective_.max_increase && !relative_limit_) {
    out.outcome = Outcome::kInconclusive;
    out.message = "there is no value from before the update to compare with";
    return;
  }
  if (!std::isfinite(value)) {
    out.outcome = Outcome::kInconclusive;
    out.message = "the value is not finite";
    return;
  }
  out.limit = objective_.max;
  if (relative_limit_) out.limit = out.limit ? std::min(*out.limit, *relative_limit_) : *relative_limit_;
  if (!out.limit) out.limit = objective_.min;
  if (!out.limit) {
    out.outcome = Outcome::kError;
    out.message = "the objective has no limit";
  }
}

void Evaluator::count(const Measurement& measurement) {
  if (measurement.outcome != Outcome::kError) consecutive_errors_ = 0;
  switch (measurement.outcome) {
    case Outcome::kPass:
      conclusive_++;
      blind_.clear();
      return;
    case Outcome::kFail:
      conclusive_++;
      blind_.clear();
      if (++failures_ > objective_.failure_limit)
        breach(fmt::format("{}; {} failed, failureLimit is {}", measurement.message, failures_, objective_.failure_limit));
      return;
    case Outcome::kInconclusive:
      if (++inconclusive_ <= objective_.inconclusive_limit) return;
      blind_ = fmt::format("{}; {} inconclusive, inconclusiveLimit is {}", measurement.message, inconclusive_,
                           objective_.inconclusive_limit);
      if (objective_.on_no_data == OnTrouble::kRollback) breach(blind_ + ", onNoData is rollback");
      return;
    case Outcome::kError:
      if (++consecutive_errors_ <= objective_.consecutive_error_limit) return;
      blind_ = fmt::format("{}; {} errors in a row, consecutiveErrorLimit is {}", measurement.message, consecutive_errors_,
                           objective_.consecutive_error_limit);
      if (objective_.on_error == OnTrouble::kRollback) breach(blind_ + ", onError is rollback");
      return;
  }
}

void Evaluator::breach(std::string reason) {
  if (breached_.empty()) breached_ = std::move(reason);
}

Verdict Evaluator::verdict() const {
  if (!breached_.empty()) return {Standing::kBreached, breached_};
  if (!blind_.empty()) return {Standing::kUnproven, blind_};
  if (conclusive_ == 0) return {Standing::kUnproven, "not measured yet"};
  if (objective_.count > 0 && conclusive_ >= objective_.count) return {Standing::kComplete, {}};
  return {Standing::kHolding, {}};
}

}  // namespace mapshift::slo
