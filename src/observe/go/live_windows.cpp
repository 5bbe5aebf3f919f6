// SPDX-License-Identifier: Apache-2.0
#include <sys/types.h>

#include <algorithm>
#include <ctime>

#include "observe/go/live_probes.h"

namespace mapshift::observe::go {
namespace {

constexpr Nanos kTick = std::chrono::milliseconds(500);
// How long somebody may wait for our lease on a file.
constexpr Nanos kGiveWay = std::chrono::milliseconds(100);
// Between looks at the counters of a window: the first, and what later ones may be.
constexpr Nanos kFirstLook = std::chrono::milliseconds(5), kShortestLook = std::chrono::milliseconds(1), kLongestLook = std::chrono::milliseconds(20);
// Of this many windows of an executable one looks at reads and writes.
constexpr uint32_t kIoEvery = 4;

}  // namespace

std::optional<double> cpu_seconds(int pid) {
  clockid_t clock{};
  timespec used{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) return std::nullopt;
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

struct LiveProbes::Window {
  struct Edge {
    ms_go_process counters{};
    std::optional<uint64_t> recorded;
  };
  std::shared_ptr<ProbedFile> file;
  WindowKind kind = WindowKind::kGoroutines;
  Nanos length{0};
  std::map<int, double> allowance;  // by process, CPU seconds
  Uprobes probes;
  Nanos began{0}, ended{0};
  std::map<int, Edge> first, last;
};

void LiveProbes::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (std::ranges::any_of(files_, [](const auto& each) { return threatened(*each.second); })) {
      lock.unlock();
      give_way();
      lock.lock();
    }
    const Nanos now = monotonic_now();
    const bool ticked = now - last_tick_ >= kTick;
    if (ticked) tick(now);
    if (share_ >= 1 || holding_) {
      lock.unlock();
      hold_or_release();
      if (ticked) cross_check_held();
      lock.lock();
      if (!stop_) changed_.wait_for(lock, kGiveWay);
      continue;
    }
    Window window;
    Nanos wake = now + kGiveWay;
    if (choose(now, window, wake)) {
      lock.unlock();
      look(window);
      lock.lock();
      continue;
    }
    changed_.wait_for(lock, std::max(wake - now, Nanos(std::chrono::milliseconds(1))));
  }
}

void LiveProbes::tick(Nanos now) {
  last_tick_ = now;
  rare_.consume([this](const ms_go_event& event) { take(event); });
  if (holding_) collect_held();
  for (auto& [pid, process] : processes_) {
    if (const auto used = cpu_seconds(pid)) process.budget.used(now, *used);
    if (const auto rare = rare_.read(pid); rare && rare->hits > process.rare_hits) {
      process.budget.spent(now, static_cast<double>(rare->hits - process.rare_hits) * process.file->points.rare_cost);
      process.rare_hits = rare->hits;
    }
  }
}

// Where the probes are held there is no window whose edges could be compared. Others' code is called without the lock.
void LiveProbes::cross_check_held() {
  std::vector<int> pids;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [pid, process] : processes_) {
      if (process.file->held.attached()) pids.push_back(pid);
    }
  }
  for (const int pid : pids) {
    const auto recorded = recorded_ ? recorded_(pid) : std::nullopt;
    const auto counters = hot_.read(pid);
    const std::lock_guard lock(mutex_);
    const auto found = processes_.find(pid);
    if (!recorded || !counters || found == processes_.end()) continue;
    ProbedProcess& process = found->second;
    if (process.last_recorded && *recorded >= *process.last_recorded) {
      process.seen += expected_records(process.last_checked, *counters);
      process.recorded += static_cast<double>(*recorded - *process.last_recorded);
    }
    process.last_recorded = recorded;
    process.last_checked = *counters;
  }
}

// The one that is due and was looked at the longest ago. All processes of an executable must be able to afford it.
bool LiveProbes::choose(Nanos now, Window& window, Nanos& wake) {
  for (const auto& [id, file] : files_) {
    if (!file->points.why_no_windows.empty() || !file->failed.empty() || file->pids.empty()) continue;
    const WindowKind kind = !file->points.io.empty() && file->windows % kIoEvery == kIoEvery - 1 ? WindowKind::kIo : WindowKind::kGoroutines;
    Nanos earliest = now, length = Budget::kLongest;
    std::map<int, double> allowance;
    for (const int pid : file->pids) {
      const WindowPlan plan = processes_.at(pid).budget.plan(kind, now, cost_.window);
      earliest = std::max(earliest, plan.earliest);
      length = std::min(length, plan.length);
      allowance[pid] = plan.allowance;
    }
    if (length <= Nanos(0)) continue;
    if (earliest > now) {
      wake = std::min(wake, earliest);
      continue;
    }
    if (window.file && window.file->last_window <= file->last_window) continue;
    window = Window{file, kind, length, std::move(allowance), {}, {}, {}, {}, {}};
  }
  return window.file != nullptr;
}

bool LiveProbes::attach(Window& window) {
  const Points& points = window.file->points;
  auto set = hot_.attach(window.file->path(), window.kind == WindowKind::kIo ? points.io : points.goroutines);
  if (set) {
    window.probes = std::move(*set);
    return true;
  }
  const std::lock_guard lock(mutex_);
  window.file->failed = set.error().message;
  return false;
}

void LiveProbes::look(Window& window) {
  if (!attach(window)) return;
  const auto edge = [&](std::map<int, Window::Edge>& edges) {
    for (const auto& [pid, allowance] : window.allowance) {
      if (const auto counters = hot_.read(pid)) edges[pid] = {*counters, recorded_ ? recorded_(pid) : std::nullopt};
    }
  };
  edge(window.first);
  window.began = monotonic_now();
  hot_.open(++number_, window.began);
  watch(window);
  window.ended = monotonic_now();
  hot_.open(0, window.ended);
  edge(window.last);
  window.probes = Uprobes();
  count(window);
  hot_.forget();
}

// Ends at its time, when it has cost any of the processes what it may, when everything is asked for, or when no process runs the
// file any more: then it may be written to, and a probe would be where another instruction is.
void LiveProbes::watch(Window& window) {
  const Nanos end = window.began + window.length;
  Nanos look = kFirstLook;
  std::unique_lock lock(mutex_);
  while (!stop_ && share_ < 1 && !window.file->pids.empty() && !threatened(*window.file)) {
    const Nanos now = monotonic_now();
    if (now >= end) return;
    changed_.wait_for(lock, std::min(end - now, look));
    const double passed = Seconds(monotonic_now() - window.began).count();
    double soonest = Seconds(2 * kLongestLook).count();  // when one of them will have spent what it may, if it goes on like this
    for (const auto& [pid, allowance] : window.allowance) {
      const auto counters = hot_.read(pid);
      const double cost = counters ? cost_of(*window.file, *counters, window.first[pid].counters) : 0;
      if (cost >= allowance) return;
      if (cost > 0) soonest = std::min(soonest, (allowance - cost) / cost * passed);
    }
    look = std::clamp(std::chrono::duration_cast<Nanos>(Seconds(soonest / 2)), kShortestLook, kLongestLook);
  }
}

void LiveProbes::count(const Window& window) {
  const auto histograms = hot_.histograms();
  static const GoHistograms none;
  const std::lock_guard lock(mutex_);
  window.file->windows++;
  window.file->last_window = window.ended;
  const double length = Seconds(std::max(window.ended - window.began, Nanos(std::chrono::microseconds(1)))).count();
  for (const auto& [pid, edge] : window.last) {
    const auto found = processes_.find(pid);
    // Whoever came or was replaced in the middle of the window is counted from the next.
    if (found == processes_.end() || found->second.file != window.file || !window.first.contains(pid)) continue;
    ProbedProcess& process = found->second;
    // Hits go on until the last probe is gone.
    const ms_go_process now = hot_.read(pid).value_or(edge.counters);
    const auto& first = window.first.at(pid);
    Nanos& counted_to = process.counted_to[static_cast<size_t>(window.kind)];
    const double times = std::max(Seconds(window.ended - counted_to).count() / length, 1.0);
    const auto mine = histograms.find(pid);
    process.tally.add(now, mine == histograms.end() ? none : mine->second, times, false);
    counted_to = window.ended;
    counted_[pid] = now;
    const double cost = cost_of(*window.file, now, first.counters) + cost_.window;
    process.budget.spent(window.ended, cost);
    process.budget.window(window.kind, window.began, window.ended, cost - cost_.window, cost_.window);
    process.windows++;
    if (window.kind != WindowKind::kGoroutines || !first.recorded || !edge.recorded || *edge.recorded < *first.recorded) continue;
    process.seen += expected_records(first.counters, edge.counters);
    process.recorded += static_cast<double>(*edge.recorded - *first.recorded);
  }
}

}  // namespace mapshift::observe::go
