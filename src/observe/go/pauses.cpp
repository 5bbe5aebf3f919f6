// SPDX-License-Identifier: Apache-2.0
#include "observe/go/pauses.h"

#include <algorithm>

namespace mapshift::observe::go {
namespace {

constexpr std::string_view kSweepTermination = "GC sweep termination";
constexpr std::string_view kMarkTermination = "GC mark termination";

// The clock never falls, but what was read from registers may be anything: within this, differences are no overflow.
constexpr uint64_t kLatest = uint64_t{1} << 62;

Nanos nanos(uint64_t value) { return Nanos(static_cast<int64_t>(std::min(value, kLatest))); }

Nanos between(uint64_t from, uint64_t to) { return to > from ? nanos(to - from) : Nanos(0); }

template <class T>
void keep(std::deque<T>& last, T value, size_t most) {
  last.push_back(std::move(value));
  if (last.size() > most) last.pop_front();
}

}  // namespace

std::string PauseLog::reason_of(const ms_go_event& event) const {
  if (event.reason < reasons_.size()) return reasons_[event.reason];
  if (event.reason != MS_GO_NO_REASON) return "reason " + std::to_string(event.reason);
  if (event.hints & MS_GO_HINT_MARK_TERMINATION) return std::string(kMarkTermination);
  if (event.hints & MS_GO_HINT_SWEEP_TERMINATION) return std::string(kSweepTermination);
  return {};
}

void PauseLog::add(const ms_go_event& event) {
  switch (event.kind) {
    case MS_GO_GC_START: break;
    case MS_GO_MARK_TERMINATION: terminating_ = true; break;
    case MS_GO_PAUSE: {
      Pause pause{nanos(event.started), Nanos(0), between(event.started, event.ended), false, reason_of(event)};
      if (event.stopped != 0) pause.stopping = std::min(between(event.started, event.stopped), pause.total);
      pause.gc = pause.reason.starts_with("GC ");
      follow(pause, nanos(event.ended));
      keep(pauses_, std::move(pause), kPauses);
      break;
    }
    default: break;
  }
}

// Mark termination may be tried more than once a cycle: only the time in which the runtime went through with it counts.
void PauseLog::follow(const Pause& pause, Nanos ended) {
  if (pause.reason == kSweepTermination) {
    cycle_ = Cycle{pause.began, pause.total, Nanos(0), Nanos(0)};
    mark_began_ = ended;
    terminating_ = false;
    return;
  }
  if (!pause.gc || !terminating_) return;
  terminating_ = false;
  if (mark_began_ == Nanos(0)) cycle_ = Cycle{pause.began, Nanos(0), Nanos(0), Nanos(0)};
  else cycle_.mark = std::max(pause.began - mark_began_, Nanos(0));
  cycle_.mark_termination = pause.total;
  keep(cycles_, cycle_, kCycles);
  mark_began_ = Nanos(0);
}

}  // namespace mapshift::observe::go
