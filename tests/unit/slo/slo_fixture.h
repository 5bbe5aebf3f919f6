// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gtest/gtest.h>

#include "slo/analysis.h"

namespace mapshift::slo {

constexpr Nanos ms(int64_t value) { return std::chrono::milliseconds(value); }

inline Objective ratio_objective(double max = 0.01) {
  Objective out;
  out.name = "drop-ratio";
  out.ratio_num = "stats.dropped";
  out.ratio_den = "stats.seen";
  out.max = max;
  return out;
}

inline Objective rate_objective(double max = 10) {
  Objective out;
  out.name = "drops";
  out.counter = "stats.dropped";
  out.max = max;
  return out;
}

inline Objective gauge_objective(double max = 10) {
  Objective out;
  out.name = "errors";
  out.indicator = Indicator::kPromql;
  out.query = "errors";
  out.max = max;
  return out;
}

inline Objective program_objective(std::string value) {
  Objective out;
  out.name = "program";
  out.indicator = Indicator::kProgram;
  out.program = "count_packets";
  out.value = std::move(value);
  out.max = 1;
  return out;
}

inline Objective figure_objective(Indicator indicator, std::string value) {
  Objective out;
  out.name = "figure";
  out.indicator = indicator;
  out.program = indicator == Indicator::kProgram ? "count_packets" : "";
  out.process = indicator == Indicator::kGo ? "app*" : "";
  out.value = std::move(value);
  out.max = 1;
  return out;
}

inline Objective burn_objective(Nanos long_window = std::chrono::hours(1), Nanos short_window = std::chrono::minutes(5)) {
  Objective out = ratio_objective();
  out.max = {};
  out.burn_rate = BurnRate{0.999, 14.4, long_window, short_window};
  return out;
}

inline Sample gauge_at(int64_t at_ms, double value) {
  Sample out;
  out.at = ms(at_ms);
  out.value = value;
  return out;
}
inline Sample counter_at(int64_t at_ms, double value) { return gauge_at(at_ms, value); }

inline Sample ratio_at(int64_t at_ms, double num, double den) {
  Sample out;
  out.at = ms(at_ms);
  out.num = num;
  out.den = den;
  return out;
}

inline Sample nothing_at(int64_t at_ms) {
  Sample out;
  out.at = ms(at_ms);
  return out;
}

inline Sample error_at(int64_t at_ms, std::string error = "cannot read the map") {
  Sample out;
  out.at = ms(at_ms);
  out.error = std::move(error);
  return out;
}

}  // namespace mapshift::slo
