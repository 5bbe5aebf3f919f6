// SPDX-License-Identifier: Apache-2.0
#include "agent/go_capture.h"

#include "base/log.h"
#include "update/go_readings.h"

namespace mapshift::agent {
namespace {

using observe::go::Capture;

// Several that look at the same moment share a reading of the processes' memory.
constexpr Nanos kFreshForPeople = std::chrono::milliseconds(100);
constexpr Nanos kFreshForObjectives = std::chrono::milliseconds(5);  // half of the shortest interval

}  // namespace

std::shared_ptr<Capture> GoCapture::running() {
  const std::lock_guard lock(mutex_);
  return capture_;
}

// The former one ends when this returns and nobody reads any more; never under the lock, since its threads have to end first.
void GoCapture::replace(std::shared_ptr<Capture> capture, std::string why_not) {
  const std::lock_guard lock(mutex_);  // released before the parameter goes
  capture_.swap(capture);
  why_not_ = std::move(why_not);
  starting_ = false;
}

void GoCapture::apply(const config::GoCapture& wanted) {
  const std::lock_guard changing(change_);
  const std::shared_ptr<Capture> present = running();
  if (!wanted.enabled) {
    if (present) log::info("Go processes are captured no more");
    return replace(nullptr, "go.enabled is false in the agent's configuration");
  }
  if (present) return present->configure(wanted.settings);
  if (!start_) return replace(nullptr, "this agent was started without it");
  auto started = start_(wanted.settings);
  if (!started) {
    log::error("Go processes are not captured", {{"error", started.error().message}});
    return replace(nullptr, "it could not be started: " + started.error().message);
  }
  replace(std::move(*started), {});
  log::info("Go processes are captured");
}

void GoCapture::stop() {
  const std::lock_guard changing(change_);
  replace(nullptr, "the agent stops");
}

void GoCapture::collect(metrics::Metrics& out) {
  if (const auto capture = running()) {
    out.set_go_processes(capture->reports(kFreshForPeople), capture->dropped_processes());
  } else {
    out.set_go_processes({}, 0);
  }
}

http::GoProcesses GoCapture::processes() {
  http::GoProcesses out;
  const auto capture = running();
  out.read_at = monotonic_now();
  if (capture) {
    out.enabled = true;
    out.processes = capture->reports(kFreshForPeople);
    out.dropped = capture->dropped_processes();
    return out;
  }
  const std::lock_guard lock(mutex_);
  out.reason = why_not_;
  return out;
}

Result<observe::go::ProcessReport> GoCapture::census(int pid) {
  if (const auto capture = running()) return capture->census(pid);
  const std::lock_guard lock(mutex_);
  return fail(ErrorCode::kUnavailable, "no Go processes are captured: " + why_not_);
}

decltype(update::Sources::go) GoCapture::source() {
  const auto readings = std::make_shared<update::GoReadings>();
  return [this, readings](const slo::Objective& objective, uint64_t generation) -> Result<update::GoReading> {
    if (const auto capture = running()) return readings->read(objective, generation, capture->reports(kFreshForObjectives));
    const std::lock_guard lock(mutex_);
    if (starting_) return update::GoReading{.opens = true};  // an update that went on after a restart: its readings begin with the capture
    return fail(ErrorCode::kUnavailable, "no Go processes are captured: " + why_not_);
  };
}

}  // namespace mapshift::agent
