// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "slo/sample.h"

namespace mapshift::slo {

enum class Standing : uint8_t {
  kUnproven,  // not one conclusive measurement yet, or blind by now: keeps an update from being committed
  kHolding,   // true so far
  kComplete,  // true, and `count` conclusive measurements are taken
  kBreached,  // for good: later measurements change nothing
};

struct Verdict {
  Standing standing = Standing::kUnproven;
  std::string reason = {};  // of kUnproven and kBreached
};

// Judges one objective from its readings. Pure: time and values come with the samples. Not thread-safe.
//
// Outcomes: pass, fail (strictly beyond a limit), inconclusive (no data, fewer than minSamples, not a number), error (could
// not be read, the clock went back, counters that make no sense). Limits as in Argo Rollouts: breached when failures >
// failureLimit. When inconclusive > inconclusiveLimit, or consecutive errors > consecutiveErrorLimit, onNoData and onError
// decide: `rollback` breaches, `hold` leaves the objective unproven until the next conclusive measurement.
class Evaluator {
 public:
  // `baseline`: the objective's value before the update; needed by maxIncrease only.
  Evaluator(Objective objective, std::optional<double> baseline);

  // `wall` is copied into the measurement. Nothing when the sample only opens a window: a counter's first reading, or the
  // first after a reset.
  [[nodiscard]] std::optional<Measurement> evaluate(const Sample& sample, std::string_view wall);
  [[nodiscard]] Verdict verdict() const;
  [[nodiscard]] const Objective& objective() const { return objective_; }

 private:
  [[nodiscard]] Measurement judge(const Window& window) const;
  void compare(double value, Measurement& out) const;
  void count(const Measurement& measurement);
  void breach(std::string reason);

  Objective objective_;
  std::optional<double> relative_limit_;
  std::optional<Sample> last_;
  int conclusive_ = 0, failures_ = 0, inconclusive_ = 0, consecutive_errors_ = 0;
  std::string blind_;     // why, when not blind: empty
  std::string breached_;  // why, when not breached: empty
};

}  // namespace mapshift::slo
