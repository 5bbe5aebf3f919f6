// SPDX-License-Identifier: Apache-2.0
// A canary: a rising share of events goes to the new generation, and each step is judged by itself before the next.
//
// Both generations write their own maps all the while. The old one counts as the active one (SyncPhase::kLiveOld) until all
// events move, for it gets most of them, and it is what remains when the canary fails:
// - sums: both sides are added to atomically, each by what the other moved since base, so nothing is lost or doubled on either;
// - max, min, or, first: joins against base do not depend on who is active;
// - latest: the old side is written by compare-and-swap only. Where both wrote between two visits the old value stays, counted;
// - a key deleted by the old generation goes from both, with what the new one counted since base (dropped, counted); one deleted
//   by the new generation alone goes only when the old one has not changed it, else it is made again with what moved since.
// So the new generation can add to the old one's state, and never take from it: setting the share to 0 is a rollback that needs
// one more pass and no swap. Passes alone carry state over: what a program reads of the other side's writes is as old as the last one.
//
// Nobody judges or reconciles while no agent runs. So the intent stays kIntentSwap: the next start sets the share to 0 and undoes
// the update, and an agent that is stopped does so before it ends.
#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "update/run.h"

namespace mapshift::update {
namespace {

constexpr uint64_t kEnoughRuns = 100;  // for an average
constexpr Nanos kCompareSides = std::chrono::milliseconds(500);
constexpr Nanos kLookAtTimes = std::chrono::milliseconds(10);

std::string percent(double share) {
  std::string text = std::to_string(std::round(share * 1e6) / 1e4);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text + " %";
}

ComparedSide compared(const SideStats& side) {
  ComparedSide out;
  out.events = side.events;
  if (side.timed != 0) out.run_seconds_avg = static_cast<double>(side.run_ns) / 1e9 / static_cast<double>(side.timed);
  for (const auto& [code, count] : side.verdicts) out.verdicts[code == INT32_MAX ? "other" : std::to_string(code)] = count;
  return out;
}

bool beside_old_side(const slo::Objective& objective) {
  return objective.indicator == slo::Indicator::kProgram && objective.value == "run_time_avg" && objective.max_increase;
}

}  // namespace

bool Run::judged_by_verdicts() const {
  return std::any_of(input_.analysis.objectives.begin(), input_.analysis.objectives.end(),
                     [](const slo::Objective& objective) { return objective.indicator == slo::Indicator::kVerdict; });
}

Nanos Run::step_length() const {
  const Canary& canary = *input_.plan.canary;
  if (canary.step_seconds > 0) return std::chrono::duration_cast<Nanos>(Seconds(canary.step_seconds));
  return input_.analysis.bake / static_cast<int>(std::max<size_t>(canary.steps.size(), 1));
}

Status Run::canary() {
  const Canary& canary = *input_.plan.canary;
  canary_begun_ = true;
  live_ = SyncPhase::kLiveOld;
  for (Pair& pair : pairs_) pair.sync->enter(live_);  // before the first event goes to the new generation
  sampler_.watch(true);
  next_warm_ = monotonic_now();
  enter(State::kBaking);
  Status done = time_old_side();
  for (size_t step = 0; step < canary.steps.size() && done; ++step) {
    if (pending_order() == Order::kCommit) break;
    done = canary_step(step);
  }
  compare_sides();
  sampler_.watch(false);
  const Order order = pending_order();
  if (order == Order::kRollback || order == Order::kAbort) urgent_ = true;
  else catch_up_journal();
  return done;
}

// A run time is compared with the old generation's by the same clock, the dispatchers': that begins before the first event goes
// to the new one, and takes a step's length at most, for a program may be idle.
Status Run::time_old_side() {
  const auto timed = [&](const slo::Objective& objective) { return !beside_old_side(objective) || old_side_of(objective).timed >= kEnoughRuns; };
  if (!std::ranges::any_of(input_.analysis.objectives, beside_old_side)) return {};
  MS_CHECK(steer(false, 0, true));
  const Nanos until = monotonic_now() + step_length();
  while (!std::ranges::all_of(input_.analysis.objectives, timed) && monotonic_now() < until && pending_order() != Order::kCommit) {
    MS_CHECK(interrupted());
    keep_warm();
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kLookAtTimes, [&] { return order_ != Order::kNone; });
  }
  return interrupted();
}

SideStats Run::old_side_of(const slo::Objective& objective) const {
  return sampler_.side(objective.program, input_.plan.from.generation).value_or(SideStats());
}

Status Run::canary_step(size_t step) {
  const double share = input_.plan.canary->steps[step];
  MS_CHECK(steer(false, share, true));
  publish_record(
      [&](UpdateRecord& record) {
        record.reason.clear();  // why the step before was held
        if (!record.canary) return;
        record.canary->step = static_cast<int>(step) + 1;
        record.canary->share = share;
      },
      true);
  log::info("canary " + percent(share), {{"update_id", input_.record.id}, {"module", input_.record.module}});
  slo::Analysis judged = input_.analysis;
  judged.bake = step_length();
  start_worker();
  slo::AnalysisRun analysis(judged, baselines_now(), monotonic_now());
  for (;;) {
    measure(analysis);
    const slo::Decision decision = analysis.decide(monotonic_now());
    if (decision.kind == slo::Decision::Kind::kBreached) break_off(share, decision);
    MS_CHECK(interrupted());
    if (decision.kind == slo::Decision::Kind::kPassed || pending_order() == Order::kCommit) return {};
    if (decision.kind == slo::Decision::Kind::kHeld) hold(share, decision);
    if (monotonic_now() >= next_store_) store_measurements();
    keep_warm();
    if (monotonic_now() >= next_sides_) compare_sides();
    Nanos until = std::min({analysis.next_event(monotonic_now()), next_warm_, next_sides_});
    std::unique_lock lock(mutex_);
    const Nanos now = monotonic_now();
    if (until <= now) until = now + std::chrono::milliseconds(1);
    changed_.wait_for(lock, until - now, [&] { return order_ != Order::kNone || (worker_ && worker_->ready()); });
  }
}

// A run time is compared with the old generation's beside it, as soon as both were measured in the same way.
std::map<std::string, double> Run::baselines_now() {
  std::map<std::string, double> baselines = record().baselines;
  for (const slo::Objective& objective : input_.analysis.objectives) {
    if (!beside_old_side(objective)) continue;
    const SideStats old_side = old_side_of(objective);
    if (old_side.timed < kEnoughRuns) continue;
    baselines[objective.name] = static_cast<double>(old_side.run_ns) / 1e9 / static_cast<double>(old_side.timed);
  }
  return baselines;
}

void Run::break_off(double share, const slo::Decision& decision) {
  const std::lock_guard lock(mutex_);
  if (order_ != Order::kNone) return;
  order_ = Order::kRollback;
  order_reason_ = "canary at " + percent(share) + ": " + decision.objective + ": " + decision.reason;
  order_trigger_ = "objective";
}

void Run::hold(double share, const slo::Decision& decision) {
  const std::string held = "held at a canary of " + percent(share) + ", until it is proven or somebody decides: " + decision.objective + ": " +
                           decision.reason;
  if (held != record().reason) publish_record([&](UpdateRecord& record) { record.reason = held; }, true);
}

// What each generation did, side by side.
void Run::compare_sides() {
  next_sides_ = monotonic_now() + kCompareSides;
  std::vector<ComparisonRecord> compared_programs;
  for (const ProgramPlan& program : input_.plan.programs) {
    const auto sides = sides_of(program);
    if (!sides) continue;
    const auto report = kernel_.side_stats(paths_.hook(program.name), sides->from, sides->to);
    if (report) compared_programs.push_back({program.name, compared(report->from), compared(report->to), report->misses});
  }
  if (compared_programs.empty()) return;
  publish_record([&](UpdateRecord& record) { record.comparison = std::move(compared_programs); }, false);
}

// Nothing is counted of a generation that runs alone and is not judged any more.
void Run::stop_watching() {
  if (!together()) return;
  const auto now = kernel_.course(paths_.together());
  if (!now || !now->watched) return;
  Course next = *now;
  next.watched = false;
  if (auto done = kernel_.set_course(paths_.together(), *now, next); !done) {
    log::warn("the dispatchers go on counting", {{"update_id", input_.record.id}, {"error", done.error().message}});
  }
}

}  // namespace mapshift::update
