// SPDX-License-Identifier: Apache-2.0
// Hooks that move together. Each is put behind a dispatcher first, one after the other, while the old generation runs all of
// them; then one store of the module's word moves every hook at once, and another one brings them back. Nothing is remembered:
// whether the word was moved is asked of the hooks.
#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "update/load_request.h"
#include "update/run.h"
#include "update/run_refresher.h"

namespace mapshift::update {
namespace {

constexpr double kAllShares = 4294967296.0;  // of Course::share

}  // namespace

// Dispatchers always share the module's word, so that hooks which moved one by one so far can move together later.
Hook Run::hook_of(const ProgramPlan& program) const {
  Hook hook = to_hook(program.attach);
  hook.together = paths_.together();
  hook.stub = together();
  return hook;
}

std::optional<Run::Sides> Run::sides_of(const ProgramPlan& program) const {
  const std::string from = paths_.program(input_.plan.from.generation, program.name);
  const std::string to = paths_.program(input_.plan.to.generation, program.name);
  switch (swap_of(program)) {
    case ProgramPlan::Swap::kNone:
    case ProgramPlan::Swap::kOverlap: return std::nullopt;  // the plan refuses an overlap here
    case ProgramPlan::Swap::kAttach: return Sides{"", to};
    case ProgramPlan::Swap::kDetach: return Sides{from, ""};
    case ProgramPlan::Swap::kNative:
    case ProgramPlan::Swap::kDispatcher: return Sides{from, to};
  }
  return std::nullopt;
}

Status Run::stage_all() {
  const Nanos deadline = monotonic_now() + input_.limits.migration_timeout;  // events do not wait for it
  for (const ProgramPlan& program : input_.plan.programs) {
    const auto sides = sides_of(program);
    if (!sides) continue;
    const Status staged = kernel_.stage(hook_of(program), paths_.hook(program.name), sides->from, sides->to);
    if (!staged) return note_taken(program, staged.error());
    MS_CHECK(interrupted());
    if (monotonic_now() > deadline) {
      return fail(ErrorCode::kTimeout, "putting the hooks behind dispatchers took longer than limits.migration_timeout (" +
                                           format_duration(input_.limits.migration_timeout) + ")");
    }
  }
  return {};
}

Status Run::unstage_all() {
  Status all;
  for (const ProgramPlan& program : input_.plan.programs) {
    if (program.swap == ProgramPlan::Swap::kNone) continue;
    const bool fresh = program.swap == ProgramPlan::Swap::kAttach;
    Hook hook = hook_of(program);
    hook.stub = input_.old_manifest.swap == SwapTogether::kTogether;
    Status back = kernel_.unstage(hook, paths_.hook(program.name), fresh ? "" : paths_.program(input_.plan.from.generation, program.name));
    if (!back) back = without_place(program, hook, back.error());
    if (!back && all) all = std::move(back);
  }
  return all;
}

Result<bool> Run::runs_new(Asked asked) {
  for (const ProgramPlan& program : input_.plan.programs) {
    const auto sides = sides_of(program);
    if (!sides) continue;
    const std::string dir = paths_.hook(program.name);
    MS_TRY(const auto pins, kernel_.list(dir));
    if (std::find(pins.begin(), pins.end(), "link") == pins.end()) continue;  // a new hook that is not staged yet
    const auto side = kernel_.running(hook_of(program), dir, sides->from, sides->to);
    if (!side) {
      MS_TRY(const bool gone, kernel_.place_gone(dir));
      const bool skipped = side.error().code == ErrorCode::kConflict && (asked == Asked::kAny || taken_.contains(program.name));
      if (!gone && !skipped) return fail(side.error());
    }
    if (side && *side == 1) return true;
  }
  return false;
}

// One store. `share`: of events, or of flows, that go to the other generation.
Result<SwapReport> Run::steer(bool to_new, double share, bool watched) {
  const bool back = !to_new && share == 0;
  MS_TRY(const bool is_new, runs_new(back ? Asked::kAny : Asked::kEach));
  MS_TRY(const Course now, kernel_.course(paths_.together()));
  Course next = now;
  next.odd = now.odd != (is_new != to_new);
  next.share = static_cast<uint32_t>(std::min<long long>(std::llround(share * kAllShares), UINT32_MAX));
  next.by_flow = share > 0 && input_.plan.canary && input_.plan.canary->by == Canary::By::kFlow;
  next.watched = watched;
  if (next == now) return SwapReport{monotonic_now(), monotonic_now()};
  return kernel_.set_course(paths_.together(), now, next);
}

Result<SwapReport> Run::move_together() { return steer(true, 0, judged_by_verdicts()); }

// A module whose word is not there has not staged anything yet.
Status Run::move_back() {
  if (auto report = steer(false, 0, false); !report && report.error().code != ErrorCode::kNotFound) return fail(report.error());
  const Nanos restored = monotonic_now();
  publish_record(
      [&](UpdateRecord& record) {
        if (cause_at_ != Nanos(0)) record.rollback_seconds = Seconds(restored - cause_at_).count();
      },
      false);
  return {};
}

// A hook that somebody else changed keeps no other one from going back: it is told of when the dispatchers go.
Status Run::restore_together() {
  MS_TRY(const bool is_new, runs_new(Asked::kAny));
  Nanos fresh_since = monotonic_now();
  // The last pass may be long ago: what only the new generation has seen since must not meet an old program as news.
  // Without a swap the old programs never rested.
  if (is_new) MS_CHECK(bring_up_to_date(SyncPhase::kLiveNew, fresh_since));
  Status back;
  {
    const Refresher refresher(pairs_, SyncPhase::kLiveOld, fresh_since);
    back = move_back();
  }
  catch_up_journal();
  MS_CHECK(back);
  MS_CHECK(publish_maps(input_.plan.to.generation, input_.plan.from.generation));
  MS_CHECK(settle(SyncPhase::kLiveOld, input_.limits.rollback_timeout));
  MS_CHECK(unstage_all());
  intend_or_log(kIntentUndone);
  return {};
}

}  // namespace mapshift::update
