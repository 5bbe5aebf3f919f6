// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "slo/rolling_ratio.h"
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
//
// A burn rate is judged over the readings taken during the bake, each window shortened to what there is of it: one that is
// longer than the bake is the whole bake so far. minSamples holds for each of both windows. A measurement's value is the
// smaller of the two burn rates: that one decides, since both must be beyond the factor.
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
  struct Burn {
    RollingRatio long_part, short_part;
  };

  void roll(const Window& window, const Sample& sample);
  [[nodiscard]] Measurement judge(const Window& window) const;
  void judge_burn(Measurement& out) const;
  void compare(double value, Measurement& out) const;
  void count(const Measurement& measurement);
  void breach(std::string reason);

  Objective objective_;
  std::optional<double> relative_limit_;
  std::optional<Burn> burn_;  // of an objective with a burn rate
  std::optional<Sample> last_;
  int conclusive_ = 0, failures_ = 0, inconclusive_ = 0, consecutive_errors_ = 0;
  std::string blind_;     // why, when not blind: empty
  std::string breached_;  // why, when not breached: empty
};

}  // namespace mapshift::slo
