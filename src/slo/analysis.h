// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "slo/evaluator.h"

namespace mapshift::slo {

struct Decision {
  enum class Kind : uint8_t {
    kRunning,   // the bake is not over
    kHeld,      // the bake is over, but an objective is unproven: neither success nor breach; keep measuring
    kBreached,  // roll back
    kPassed,    // the bake is over and every objective holds
  };
  Kind kind = Kind::kRunning;
  std::string objective = {};  // of kHeld and kBreached
  std::string reason = {};
};

// The judgement of one update over its bake. Pure: the caller brings the (monotonic) time, takes the readings that are due
// and feeds them. Not thread-safe. Nothing but a bake that is over makes it pass; a breach acts at once and is final.
// A bake of zero asks for no judgement and passes at once.
class AnalysisRun {
 public:
  // `baselines`: by objective name. `start`: when the bake began.
  AnalysisRun(const Analysis& analysis, const std::map<std::string, double>& baselines, Nanos start);

  // Indices of the objectives to read now, in the order of the analysis.
  [[nodiscard]] std::vector<size_t> due(Nanos now) const;
  // When due() will next answer something, or the bake ends, whichever is first and not yet past: how long to sleep.
  [[nodiscard]] Nanos next_event(Nanos now) const;
  // The reading was asked for and will be fed later: it is not due again before that, and nothing passes until it is there.
  void asked(size_t index) { tracks_.at(index).asked = true; }
  [[nodiscard]] std::optional<Measurement> feed(size_t index, const Sample& sample, std::string_view wall);
  [[nodiscard]] Decision decide(Nanos now) const;

  [[nodiscard]] size_t size() const { return tracks_.size(); }
  [[nodiscard]] const Objective& objective(size_t index) const { return tracks_.at(index).evaluator.objective(); }
  [[nodiscard]] Verdict verdict(size_t index) const { return tracks_.at(index).evaluator.verdict(); }
  [[nodiscard]] Nanos ends_at() const { return end_; }

 private:
  struct Track {
    Evaluator evaluator;
    Nanos interval;
    Nanos next;  // when it is due
    bool asked = false;
  };
  [[nodiscard]] static bool finished(const Track& track);

  std::vector<Track> tracks_;
  Nanos start_, end_;
  Decision breach_;  // kRunning: none yet
};

}  // namespace mapshift::slo
