// SPDX-License-Identifier: Apache-2.0
// Hooks that move together, in the fake world: one word for all.
#include <algorithm>
#include <iterator>

#include "fake_kernel.h"

namespace mapshift {

// What the word says now runs at the hook.
void FakeKernel::run_active(const std::string& hook_dir) {
  const Staged& staged = staged_.at(hook_dir);
  const ThingRef& active = staged.slots[staged.own == course_->odd ? 0 : 1];
  if (active) hooks_[hook_dir] = active;
  else hooks_.erase(hook_dir);
}

// A hook behind a dispatcher goes with the last of its programs.
void FakeKernel::detach_empty_hooks() {
  for (auto hook = staged_.begin(); hook != staged_.end();) {
    for (ThingRef& slot : hook->second.slots) {
      const bool there = std::any_of(pins_.begin(), pins_.end(), [&](const auto& pin) { return pin.second == slot; });
      if (!there) slot = nullptr;
    }
    const bool empty = !hook->second.slots[0] && !hook->second.slots[1];
    if (empty) remove_below(hook->first, false);
    hook = empty ? staged_.erase(hook) : std::next(hook);
  }
}

// Spread evenly, so that every run is the same.
bool FakeKernel::goes_astray(const std::string& hook_dir, uint64_t event) const {
  if (!course_ || course_->share == 0 || !staged_.contains(hook_dir)) return false;
  return event * course_->share >> 32 != (event - 1) * course_->share >> 32;
}

Status FakeKernel::stage(const Hook& /*hook*/, const std::string& hook_dir, const std::string& from, const std::string& to) {
  return step("stage " + hook_dir, [&](bool half) -> Status {
    ThingRef before, after;
    if (!from.empty()) {
      MS_TRY(before, pinned(from));
    }
    if (!to.empty()) {
      MS_TRY(after, pinned(to));
    }
    if (!course_) course_.emplace();
    MS_CHECK(stands(hook_dir));
    const bool attached = pins_.contains(hook_dir + "/link");
    if (attached != (before != nullptr)) return fail(ErrorCode::kConflict, hook_dir + " is not attached as expected");
    if (attached && hooks_.at(hook_dir) != before) return fail(ErrorCode::kConflict, hook_dir + " runs something else");
    pins_.try_emplace(hook_dir + "/slots", make('d'));
    if (half) return {};
    pins_.try_emplace(hook_dir + "/link", make('l'));
    seen_.try_emplace(hook_dir);
    Staged& staged = staged_[hook_dir];
    const bool active = staged.own != course_->odd;
    staged.slots[active ? 1 : 0] = before;
    staged.slots[active ? 0 : 1] = after;
    return {};
  });
}

Status FakeKernel::unstage(const Hook& hook, const std::string& hook_dir, const std::string& from) {
  return step("unstage " + hook_dir, [&](bool half) -> Status {
    if (from.empty() || !pins_.contains(hook_dir + "/link")) {
      if (pins_.erase(hook_dir + "/link") != 0) hooks_.erase(hook_dir);
      staged_.erase(hook_dir);
      if (!half) remove_below(hook_dir, false);
      return {};
    }
    MS_CHECK(stands(hook_dir));
    MS_TRY(const ThingRef before, pinned(from));
    if (hooks_.at(hook_dir) != before) return fail(ErrorCode::kConflict, hook_dir + " runs something else");
    staged_.erase(hook_dir);
    if (!half && hook.type != "tracepoint" && !hook.stub) pins_.erase(hook_dir + "/slots");
    return {};
  });
}

Result<Course> FakeKernel::course(const std::string& together_dir) {
  return step("course " + together_dir, [&](bool) -> Result<Course> {
    if (!course_) return fail(ErrorCode::kNotFound, "there is no word in " + together_dir);
    return *course_;
  });
}

Result<SwapReport> FakeKernel::set_course(const std::string& together_dir, const Course& from, const Course& to) {
  const std::string way = std::string(to.odd ? " odd" : " even") + " share " + std::to_string(to.share);
  return step("set_course " + together_dir + way, [&](bool half) -> Result<SwapReport> {
    if (course_ != from) return fail(ErrorCode::kConflict, together_dir + " is not what was read before");
    if (!half) course_ = to;
    for (const auto& [hook_dir, staged] : staged_) run_active(hook_dir);
    const Nanos now = monotonic_now();
    return SwapReport{now, now + swap_takes};
  });
}

Result<SidesReport> FakeKernel::side_stats(const std::string& hook_dir, const std::string& /*from*/, const std::string& /*to*/) {
  return step("side_stats " + hook_dir, [&](bool) -> Result<SidesReport> {
    if (!sides) return fail(ErrorCode::kNotFound, hook_dir + " stands behind no dispatcher");
    return sides(hook_dir, course_ ? course_->share : 0);
  });
}

}  // namespace mapshift
