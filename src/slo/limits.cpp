// SPDX-License-Identifier: Apache-2.0
#include "slo/limits.h"

#include <fmt/format.h>

#include <limits>

#include "base/clock.h"
#include "slo/indicator.h"

namespace mapshift::slo {
namespace {

struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

Range range_of(const Objective& objective) {
  if (objective.indicator == Indicator::kPromql) return {};
  const Figure* figure = figure_of(objective);
  return {0, figure != nullptr && figure->share ? 1 : std::numeric_limits<double>::infinity()};
}

std::string subject(const Objective& objective) {
  return objective.value.empty() ? std::string(name_of(objective.indicator)) + " figure" : objective.value;
}

}  // namespace

std::optional<std::string> impossible(const Objective& objective) {
  const Range range = range_of(objective);
  if (objective.max && *objective.max < range.low)
    return fmt::format("max {:g} can never be met: a {} is never below {:g}", *objective.max, subject(objective), range.low);
  if (objective.min && *objective.min > range.high)
    return fmt::format("min {:g} can never be met: a {} is never above {:g}", *objective.min, subject(objective), range.high);
  if (objective.max && objective.min && *objective.min > *objective.max)
    return fmt::format("min {:g} is above max {:g}: no value can pass", *objective.min, *objective.max);
  return {};
}

std::optional<std::string> toothless(const Objective& objective) {
  if (const auto& burn = objective.burn_rate) {
    const double fastest = 1 / (1 - burn->objective);
    if (burn->factor < fastest) return {};
    return fmt::format("burnRate can never fail: with an objective of {:g} the budget burns at most {:g} times too fast, and the "
                       "factor is {:g}",
                       burn->objective, fastest, burn->factor);
  }
  const Range range = range_of(objective);
  const bool max_idle = !objective.max || *objective.max >= range.high;
  const bool min_idle = !objective.min || *objective.min <= range.low;
  if (objective.max_increase || !max_idle || !min_idle) return {};
  return fmt::format("its limits can never be broken: a {} is always from {:g} to {:g}", subject(objective), range.low, range.high);
}

std::optional<std::string> too_late(const Objective& objective, const Analysis& analysis) {
  if (analysis.bake == Nanos(0)) return {};
  const Nanos interval = objective.interval > Nanos(0) ? objective.interval : analysis.interval;
  const Figure* figure = figure_of(objective);
  const bool one_is_enough = reading_of(objective) == Reading::kGauge && (figure == nullptr || !figure->of_window);
  const Nanos opening = one_is_enough ? Nanos(0) : interval;  // a counter needs two readings
  if (objective.initial_delay < analysis.bake && opening <= analysis.bake - objective.initial_delay) return {};
  return fmt::format("its first value is known {} after the swap and the bake ends after {}: the update will be held there until it "
                     "is measured; make the bake longer, or initialDelay and interval shorter",
                     format_duration(objective.initial_delay + opening), format_duration(analysis.bake));
}

}  // namespace mapshift::slo
