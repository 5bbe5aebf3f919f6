// SPDX-License-Identifier: Apache-2.0
#include "observe/go/live_probes.h"

#include <algorithm>
#include <iterator>

#include "observe/go/calibrate.h"

namespace mapshift::observe::go {
namespace {

// To 1.25 a return from a system call is counted as a transition to running; later the runtime does it without casgstatus.
constexpr int kLastCountingSyscalls = 25;

}  // namespace

LiveProbes::LiveProbes(GoRareProbes rare, GoWindowProbes hot, ProbeCost cost, double share)
    : rare_(std::move(rare)), hot_(std::move(hot)), cost_(cost), share_(share), thread_([this] { run(); }) {}

LiveProbes::~LiveProbes() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::string LiveProbes::path_of(const ProbedFile& file) const {
  if (file.open) return file.path;
  return file.pids.empty() ? std::string() : processes_.at(*file.pids.begin()).traced.executable;
}

Status LiveProbes::add(const Traced& process) {
  remove(process.pid);
  const std::lock_guard change(change_);
  const Binary& binary = *process.binary;
  MS_CHECK(rare_.add(process.pid, binary.version.minor));
  MS_CHECK(hot_.add(process.pid, binary.layout.g_waitreason.value_or(0),
                    binary.version.minor <= kLastCountingSyscalls ? MS_GO_SYSCALLS_RUN : 0));
  std::shared_ptr<ProbedFile> file;
  {
    const std::lock_guard lock(mutex_);
    const auto found = files_.find({process.device, process.inode});
    if (found != files_.end()) file = found->second;
  }
  if (!file) {
    file = std::make_shared<ProbedFile>();
    file->device = process.device;
    file->inode = process.inode;
    file->open = process.file;
    file->path = process.executable;
    file->points = points_of(binary, cost_);
    auto attached = rare_.attach(process.executable, file->points.rare);
    if (!attached) {
      rare_.remove(process.pid);
      hot_.remove(process.pid);
      return fail(std::move(attached).error());
    }
    file->rare = std::move(*attached);
  }
  const std::lock_guard lock(mutex_);
  files_[{process.device, process.inode}] = file;
  file->pids.insert(process.pid);
  file->failed.clear();
  auto& mine = processes_.emplace(std::piecewise_construct, std::forward_as_tuple(process.pid),
                                  std::forward_as_tuple(process, share_, file)).first->second;
  mine.counted_to.fill(monotonic_now());
  if (mine.budget.always()) hold(*file);
  changed_.notify_all();
  return {};
}

void LiveProbes::remove(int pid) {
  const std::lock_guard change(change_);
  std::shared_ptr<ProbedFile> last;  // detached when this returns, without the lock
  {
    const std::lock_guard lock(mutex_);
    const auto found = processes_.find(pid);
    if (found == processes_.end()) return;
    const auto file = found->second.file;
    file->pids.erase(pid);
    if (file->pids.empty()) {
      files_.erase({file->device, file->inode});
      last = file;
    }
    processes_.erase(found);
    counted_.erase(pid);
  }
  rare_.remove(pid);
  hot_.remove(pid);
}

void LiveProbes::set_budget(double share) {
  const std::lock_guard lock(mutex_);
  share_ = share;
  for (auto& [pid, process] : processes_) process.budget.set_share(share);
  changed_.notify_all();
}

void LiveProbes::set_recorded(Recorded recorded) {
  const std::lock_guard lock(mutex_);
  recorded_ = std::move(recorded);
}

// Called with both locks: who asks for everything waits for it.
void LiveProbes::hold(ProbedFile& file) {
  if (file.held.attached() || !file.points.why_no_windows.empty() || !file.failed.empty()) return;
  const std::string path = path_of(file);
  Places all = file.points.goroutines;
  std::ranges::copy(file.points.io, std::back_inserter(all));
  auto set = hot_.attach(path, all);
  if (!set) {
    file.failed = set.error().message;
    return;
  }
  file.held = std::move(*set);
  if (holding_) return;
  holding_ = true;
  hot_.open(++number_, monotonic_now());
}

void LiveProbes::hold_or_release() {
  const std::lock_guard change(change_);
  std::vector<Uprobes> released;  // detached last, without the lock
  {
    const std::lock_guard lock(mutex_);
    if (share_ >= 1) {
      for (auto& [id, file] : files_) hold(*file);
      return;
    }
    if (!holding_) return;
    hot_.open(0, monotonic_now());
    collect_held();
    holding_ = false;
    for (auto& [id, file] : files_) released.push_back(std::exchange(file->held, {}));
  }
  released.clear();
  hot_.forget();
}

double LiveProbes::cost_of(const ProbedFile& file, const ms_go_process& now, const ms_go_process& before) const {
  double cost = 0;
  for (int i = 0; i < MS_GO_HITS; i++) {
    if (now.hits[i] > before.hits[i]) cost += static_cast<double>(now.hits[i] - before.hits[i]) * file.points.hit_cost[i];
  }
  return cost;
}

// Of a process whose probes are held: all that happened since the last look.
void LiveProbes::collect(ProbedProcess& process, const ms_go_process& counters, const GoHistograms& histograms) {
  const Nanos now = monotonic_now();
  const int pid = process.traced.pid;
  process.tally.add(counters, histograms, 1, true);
  process.budget.spent(now, cost_of(*process.file, counters, counted_[pid]));
  counted_[pid] = counters;
  process.counted_to.fill(now);
  process.windows = std::max<uint64_t>(process.windows, 1);
}

void LiveProbes::collect_held() {
  const auto histograms = hot_.histograms();
  static const GoHistograms none;
  for (auto& [pid, process] : processes_) {
    if (!process.file->held.attached()) continue;
    const auto counters = hot_.read(pid);
    const auto found = histograms.find(pid);
    if (counters) collect(process, *counters, found == histograms.end() ? none : found->second);
  }
}

void LiveProbes::fill(int pid, ProcessReport& report) {
  const std::lock_guard lock(mutex_);
  const Nanos now = monotonic_now();
  const auto found = processes_.find(pid);
  if (found == processes_.end()) return;
  rare_.consume([this](const ms_go_event& event) { take(event); });
  if (holding_) collect_held();
  const ProbedProcess& process = found->second;
  const ProbedFile& file = *process.file;
  report.pauses = process.log.pauses();
  report.cycles = process.log.cycles();
  process.tally.fill(report);
  report.probing.duty = file.held.attached() ? 1 : process.budget.duty(now);
  report.probing.overhead = process.budget.overhead(now);
  report.probing.windows = process.windows;
  report.probing.lost = process.tally.lost();
  if (const auto rare = rare_.read(pid)) report.probing.lost += rare->lost;
  if (process.recorded >= kEnoughRecorded) report.probing.crosscheck = process.seen / (8 * process.recorded);
  if (!file.points.why_no_windows.empty()) report.probing.why_not = file.points.why_no_windows;
  else if (!file.failed.empty()) report.probing.why_not = file.failed;
  else if (process.budget.never()) report.probing.why_not = "the overhead budget is 0";
  report.notes.insert(report.notes.end(), file.points.notes.begin(), file.points.notes.end());
}

// The thread may have been gone since: such an event belongs to nobody.
void LiveProbes::take(const ms_go_event& event) {
  const auto found = processes_.find(static_cast<int>(event.tgid));
  if (found != processes_.end()) found->second.log.add(event);
}

Result<std::unique_ptr<Probes>> open_probes(double budget) {
  const UprobeLink kind = best_uprobe_link();
  MS_TRY(GoRareProbes rare, GoRareProbes::load(kind));
  MS_TRY(GoWindowProbes hot, GoWindowProbes::load(kind));
  const ProbeCost cost = calibrate(hot);
  return std::unique_ptr<Probes>(std::make_unique<LiveProbes>(std::move(rare), std::move(hot), cost, budget));
}

}  // namespace mapshift::observe::go
