// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <span>
#include <string>

#include "base/clock.h"
#include "slo/indicator.h"
#include "slo/objective.h"

namespace mapshift::slo {

// One reading for one objective, as its source gave it. Which members count is decided by reading_of(objective).
struct Sample {
  Nanos at{0};                           // monotonic clock
  std::optional<double> value = {};      // kGauge: the figure; kRate: the counter
  std::optional<double> num = {}, den = {};  // kRatio: both counters. run_time_avg: seconds of run time, runs
  // How many observations stand behind the reading. kGauge: in its window. kRate, kRatio: a counter like the others; where
  // it stays 0, increments of the counter itself (kRate) or of `den` (kRatio) are taken.
  double samples = 0;
  bool opens = false;      // kGauge without a value: the source compares with this reading from now on
  std::string error = {};  // not empty: the source could not be read, and why
};

// What one window (kRate, kRatio: from one reading to the next; kGauge: the reading) says.
struct Window {
  enum class Kind : uint8_t {
    kValue,    // `value` holds
    kFirst,    // the first reading of a counter, the first after a reset, or one that says so itself: the base of the next window
    kNoData,   // `message` says why
    kTrouble,  // could not be read, or makes no sense; `message` says why
  };
  Kind kind = Kind::kValue;
  double value = 0;
  double samples = 0;
  std::string message = {};
  bool opens = false;  // the reading is good as the base of the next window
};

// The window between `before` (null: none yet) and `now`. Times must grow: a reading that is not later than the one
// before is kTrouble. A counter that went back (its map or program was replaced) is kFirst, never a guessed increment:
// a small step back would otherwise look like a huge rate.
[[nodiscard]] Window window_of(Reading reading, const Sample* before, const Sample& now);

// The value of the objective before the update, from readings taken then, oldest first: increments over the whole time for
// counters (parts across errors and resets are left out), the median for gauges. Nothing when there was no data, or less
// than the objective's minSamples.
[[nodiscard]] std::optional<double> baseline_of(const Objective& objective, std::span<const Sample> readings);

}  // namespace mapshift::slo
