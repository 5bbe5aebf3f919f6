// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/log.h"
#include "update/run.h"
#include "update/run_refresher.h"

namespace mapshift::update {

// A program that the new generation has to do without leaves its hook.
ProgramPlan::Swap Run::swap_of(const ProgramPlan& program) const {
  if (!skipped_.contains(program.name) || program.swap == ProgramPlan::Swap::kDetach) return program.swap;
  const bool replaces = program.swap == ProgramPlan::Swap::kNative || program.swap == ProgramPlan::Swap::kDispatcher ||
                        program.swap == ProgramPlan::Swap::kOverlap;
  return replaces ? ProgramPlan::Swap::kDetach : ProgramPlan::Swap::kNone;
}

Status Run::swap_program(const ProgramPlan& program, SwapReport& report) {
  const std::string hook_dir = paths_.hook(program.name);
  const std::string from = paths_.program(input_.plan.from.generation, program.name);
  const std::string to = paths_.program(input_.plan.to.generation, program.name);
  report.began = monotonic_now();
  switch (swap_of(program)) {
    case ProgramPlan::Swap::kNone: break;
    case ProgramPlan::Swap::kNative:
    case ProgramPlan::Swap::kDispatcher:
    case ProgramPlan::Swap::kOverlap: {
      MS_TRY(report, kernel_.swap(hook_of(program), hook_dir, from, to));
      return {};
    }
    case ProgramPlan::Swap::kAttach: MS_CHECK(kernel_.attach(hook_of(program), hook_dir, to)); break;
    case ProgramPlan::Swap::kDetach: MS_CHECK(kernel_.detach(hook_dir)); break;
  }
  report.ended = monotonic_now();
  return {};
}

// A hook that was not ours to change when its turn came: undoing the update leaves it as it was.
tl::unexpected<Error> Run::note_taken(const ProgramPlan& program, const Error& error) {
  if (error.code == ErrorCode::kConflict) taken_.insert(program.name);
  return fail(error);
}

// From the first hook that changed to the last.
Result<SwapReport> Run::move_in_order() {
  const Nanos began = monotonic_now();
  std::optional<Nanos> first;
  Nanos last = began;
  for (const ProgramPlan& program : input_.plan.programs) {
    if (swap_of(program) == ProgramPlan::Swap::kNone) continue;
    SwapReport report;
    if (Status swapped = swap_program(program, report); !swapped) return note_taken(program, swapped.error());
    if (report.overlap > Nanos(0)) note_overlap(program.name, report.overlap);
    if (!first) first = report.began;
    last = report.ended;
    if (last - began > input_.limits.swap_timeout) {
      return fail(ErrorCode::kTimeout, "the swap took longer than limits.swap_timeout (" + format_duration(input_.limits.swap_timeout) + ")");
    }
  }
  return SwapReport{first.value_or(last), last};
}

Status Run::bring_up_to_date(SyncPhase phase, Nanos& fresh_since) {
  for (Pair& pair : pairs_) {
    MS_TRY([[maybe_unused]] const PassReport report, pass(pair, phase, true));
  }
  fresh_since = monotonic_now();
  for (Pair& pair : pairs_) {
    MS_TRY([[maybe_unused]] const PassReport report, pair.sync->pass_hot(phase));
  }
  return {};
}

Status Run::swap() {
  if (together()) MS_CHECK(stage_all());
  Nanos fresh_since{0};
  MS_CHECK(bring_up_to_date(SyncPhase::kPrecopy, fresh_since));
  if (input_.plan.canary) {
    MS_CHECK(canary());
    MS_CHECK(bring_up_to_date(SyncPhase::kLiveOld, fresh_since));
    live_ = SyncPhase::kLiveNew;
  }
  Refresher refresher(pairs_, SyncPhase::kLiveNew, fresh_since);
  MS_TRY(const SwapReport window, together() ? move_together() : move_in_order());
  refresher.stop();
  MS_CHECK(publish_maps(input_.plan.from.generation, input_.plan.to.generation));
  publish_record(
      [&](UpdateRecord& record) {
        if (record.canary) record.canary->step = 0, record.canary->share = 1;
        record.mixed_window_seconds = Seconds(window.ended - window.began).count();
        for (const Pair& pair : pairs_) record.maps.at(pair.record).staleness_seconds = Seconds(refresher.staleness()).count();
      },
      false);
  observer_.swapped(record());
  return settle(SyncPhase::kLiveNew, input_.limits.stall_timeout);
}

void Run::note_overlap(const std::string& name, Nanos length) {
  publish_record(
      [&](UpdateRecord& record) {
        const auto program = std::ranges::find(record.programs, name, &ProgramRecord::name);
        if (program != record.programs.end()) program->overlap_seconds = Seconds(length).count();
      },
      false);
}

// <module>/maps/ always names the maps of the generation that runs.
Status Run::publish_maps(uint64_t from, uint64_t to) {
  MS_TRY(const auto gone, kernel_.list(paths_.generation(from) + "/maps"));
  MS_TRY(const auto now, kernel_.list(paths_.generation(to) + "/maps"));
  note_lost_pins(to, now);
  for (const std::string& map : now) MS_CHECK(kernel_.publish(paths_.map(to, map), paths_.published(map)));
  for (const std::string& map : gone) {
    if (std::find(now.begin(), now.end(), map) == now.end()) MS_CHECK(kernel_.unpublish(paths_.published(map)));
  }
  if (input_.published) input_.published(to);
  return {};
}

// Takes away what is left of a hook whose interface or cgroup is gone, which would keep the new generation's program.
Result<bool> Run::drop_if_gone(const ProgramPlan& program) {
  const std::string hook_dir = paths_.hook(program.name);
  MS_TRY(const bool gone, kernel_.place_gone(hook_dir));
  if (gone) MS_CHECK(kernel_.detach(hook_dir));
  return gone;
}

// Where there is no place any more nothing can run: that keeps no other hook from being brought back.
Status Run::attach_again(const ProgramPlan& program, const Hook& hook) {
  const Status place = kernel_.check_hook(hook);
  if (place || place.error().code != ErrorCode::kNotFound) {
    return kernel_.attach(hook, paths_.hook(program.name), paths_.program(input_.plan.from.generation, program.name));
  }
  warn("place-gone", "programs." + program.name, "could not be brought back, and runs nothing: " + place.error().message);
  return {};
}

// Whatever the hook runs now, afterwards it runs the old generation's program. Its place may go at any time: it is asked after
// what failed, not before.
Status Run::restore_program(const ProgramPlan& program) {
  Hook hook = hook_of(program);
  hook.stub = input_.old_manifest.swap == SwapTogether::kTogether;
  Status back = bring_back(program, hook);
  if (back) return back;
  return without_place(program, hook, back.error());
}

// What could not be brought back, because its place is gone or it is somebody else's, keeps no other hook from it.
Status Run::without_place(const ProgramPlan& program, const Hook& hook, const Error& error) {
  MS_TRY(const bool gone, drop_if_gone(program));
  if (gone) return program.swap == ProgramPlan::Swap::kAttach ? Status() : attach_again(program, hook);
  if (!taken_.contains(program.name) || error.code != ErrorCode::kConflict) return fail(error);
  warn("hook-taken", "programs." + program.name, "left as it was before the update: " + error.message);
  return {};
}

Status Run::bring_back(const ProgramPlan& program, const Hook& hook) {
  const std::string hook_dir = paths_.hook(program.name);
  const std::string from = paths_.program(input_.plan.from.generation, program.name);
  const std::string to = paths_.program(input_.plan.to.generation, program.name);
  switch (program.swap) {
    case ProgramPlan::Swap::kNone: return {};
    case ProgramPlan::Swap::kAttach: return kernel_.detach(hook_dir);
    case ProgramPlan::Swap::kNative:
    case ProgramPlan::Swap::kDispatcher:
    case ProgramPlan::Swap::kOverlap:
    case ProgramPlan::Swap::kDetach: break;
  }
  MS_TRY(const auto pins, kernel_.list(hook_dir));
  // A detach that was cut short leaves a dispatcher's maps; it is the link that makes a hook run.
  if (std::find(pins.begin(), pins.end(), "link") == pins.end()) return attach_again(program, hook);
  if (program.swap == ProgramPlan::Swap::kDetach) return {};
  MS_TRY(const int side, kernel_.running(hook, hook_dir, from, to));
  if (side == 0) return {};
  MS_TRY([[maybe_unused]] const SwapReport report, kernel_.swap(hook, hook_dir, to, from));
  return {};
}

Status Run::swap_back(Nanos fresh_since) {
  Refresher refresher(pairs_, SyncPhase::kLiveOld, fresh_since);
  Status all;
  for (const ProgramPlan& program : input_.plan.programs)
    if (Status back = restore_program(program); !back && all) all = std::move(back);
  MS_CHECK(all);
  const Nanos restored = monotonic_now();
  publish_record(
      [&](UpdateRecord& record) {
        if (cause_at_ != Nanos(0)) record.rollback_seconds = Seconds(restored - cause_at_).count();
      },
      false);
  return {};
}

// What cannot be told is no. In a bake the first hook answers.
bool Run::old_runs_alone() {
  return std::ranges::all_of(input_.plan.programs, [this](const ProgramPlan& program) {
    const ProgramPlan::Swap swap = swap_of(program);
    if (swap == ProgramPlan::Swap::kNone) return true;
    const std::string dir = paths_.hook(program.name);
    const auto pins = kernel_.list(dir);
    const bool linked = pins && std::ranges::find(*pins, "link") != pins->end();
    if (swap == ProgramPlan::Swap::kAttach) return pins && !linked;
    if (swap == ProgramPlan::Swap::kDetach || !linked) return linked;
    const auto side = kernel_.running(hook_of(program), dir, paths_.program(input_.plan.from.generation, program.name),
                                      paths_.program(input_.plan.to.generation, program.name));
    return side && *side == 0;
  });
}

// Back to the old generation from wherever we are. Every part may have been done already, in part, or not at all.
Status Run::restore(bool swapped) {
  if (swapped && together()) {
    MS_CHECK(restore_together());
  } else if (swapped) {
    // The last pass may be long ago: what only the new generation has seen since must not meet an old program as news. Where the
    // old programs run alone, theirs is the side that counts.
    Nanos fresh_since = monotonic_now();
    if (!old_runs_alone()) MS_CHECK(bring_up_to_date(SyncPhase::kLiveNew, fresh_since));
    const Status back = swap_back(fresh_since);
    catch_up_journal();
    MS_CHECK(back);
    MS_CHECK(publish_maps(input_.plan.to.generation, input_.plan.from.generation));
    MS_CHECK(settle(SyncPhase::kLiveOld, input_.limits.rollback_timeout));
    // Without it a restart would look for the base that goes now.
    intend_or_log(kIntentUndone);
  }
  pairs_.clear();
  return owns_new_ ? drop(input_.plan.to.generation) : Status{};
}

Status Run::drop(uint64_t generation) {
  MS_CHECK(kernel_.remove_tree(paths_.generation(generation)));
  return kernel_.remove_tree(paths_.syncs());
}

}  // namespace mapshift::update
