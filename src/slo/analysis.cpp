// SPDX-License-Identifier: Apache-2.0
#include "slo/analysis.h"

#include <algorithm>

namespace mapshift::slo {
namespace {

constexpr Nanos kShortestInterval = std::chrono::milliseconds(10);

Nanos add(Nanos a, Nanos b) { return b > Nanos::max() - a ? Nanos::max() : a + b; }

}  // namespace

AnalysisRun::AnalysisRun(const Analysis& analysis, const std::map<std::string, double>& baselines, Nanos start)
    : start_(start), end_(add(start, analysis.bake)) {
  for (const Objective& objective : analysis.objectives) {
    const auto found = baselines.find(objective.name);
    const auto baseline = found == baselines.end() ? std::nullopt : std::optional<double>(found->second);
    const Nanos interval = objective.interval > Nanos(0) ? objective.interval : analysis.interval;
    const Nanos first = add(start, objective.initial_delay);
    tracks_.push_back({Evaluator(objective, baseline), std::max(interval, kShortestInterval), first, false});
  }
}

bool AnalysisRun::finished(const Track& track) {
  const Standing standing = track.evaluator.verdict().standing;
  return standing == Standing::kComplete || standing == Standing::kBreached;
}

std::vector<size_t> AnalysisRun::due(Nanos now) const {
  std::vector<size_t> out;
  for (size_t i = 0; i < tracks_.size(); i++)
    if (tracks_[i].next <= now && !tracks_[i].asked && !finished(tracks_[i])) out.push_back(i);
  return out;
}

Nanos AnalysisRun::next_event(Nanos now) const {
  Nanos first = end_ > now ? end_ : Nanos::max();
  for (const Track& track : tracks_)
    if (!finished(track) && !track.asked) first = std::min(first, std::max(track.next, now));
  return first;
}

std::optional<Measurement> AnalysisRun::feed(size_t index, const Sample& sample, std::string_view wall) {
  Track& track = tracks_.at(index);
  track.asked = false;
  auto measurement = track.evaluator.evaluate(sample, wall);
  // The grid of the start is kept, and readings that were missed are not made up for.
  const auto missed = sample.at > track.next ? (sample.at - track.next) / track.interval : 0;
  track.next = add(track.next, track.interval * (missed + 1));
  const Verdict verdict = track.evaluator.verdict();
  if (verdict.standing == Standing::kBreached && breach_.kind != Decision::Kind::kBreached)
    breach_ = {Decision::Kind::kBreached, track.evaluator.objective().name, verdict.reason};
  return measurement;
}

Decision AnalysisRun::decide(Nanos now) const {
  if (breach_.kind == Decision::Kind::kBreached) return breach_;
  if (now < end_) return {};
  if (end_ == start_) return {Decision::Kind::kPassed, {}, {}};
  if (std::ranges::any_of(tracks_, [](const Track& track) { return track.asked && !finished(track); })) return {};
  for (const Track& track : tracks_) {
    Verdict verdict = track.evaluator.verdict();
    if (verdict.standing == Standing::kUnproven)
      return {Decision::Kind::kHeld, track.evaluator.objective().name, std::move(verdict.reason)};
  }
  return {Decision::Kind::kPassed, {}, {}};
}

}  // namespace mapshift::slo
