// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "slo/objective.h"

namespace mapshift::slo {

// How two readings of an objective become one value.
enum class Reading : uint8_t {
  kGauge,  // the reading is the value
  kRate,   // increment of one counter, a second
  kRatio,  // increment of `num` over increment of `den`
};

struct IndicatorKind {
  Indicator indicator;
  std::string_view name;  // as in the manifest
  std::string_view help;
  std::string_view missing;  // why this release cannot measure it; empty: it can
  [[nodiscard]] bool served() const { return missing.empty(); }
};

// A figure that `"value"` of an objective may name.
struct Figure {
  Indicator indicator;
  std::string_view name;
  Reading reading;
  std::string_view unit;
  std::string_view help;
  bool share = false;         // never above 1
  bool of_interface = false;  // needs Objective::interface
  bool of_reason = false;     // needs Objective::reason
  bool of_window = false;     // kGauge over the time since the reading before: the first one has no value
};

[[nodiscard]] std::span<const IndicatorKind> indicators();
[[nodiscard]] std::span<const Figure> figures();
[[nodiscard]] std::span<const Figure> figures(Indicator indicator);  // empty: it has no "value"
// Null when the objective's indicator has no such figure.
[[nodiscard]] const Figure* figure_of(const Objective& objective);

[[nodiscard]] std::string_view name_of(Indicator indicator);
[[nodiscard]] std::string_view name_of(Outcome outcome);
[[nodiscard]] Reading reading_of(const Objective& objective);

// Can this release judge the objective? kUnsupported names what it cannot do and what is served; kInvalid says which
// member is missing. Says nothing about whether the named program or map exists.
[[nodiscard]] Status check_served(const Objective& objective);

// "drop-ratio: stats.dropped / stats.seen must stay at or below 0.01; breached by more than 2 failures"
[[nodiscard]] std::string describe(const Objective& objective);

}  // namespace mapshift::slo
