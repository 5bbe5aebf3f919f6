// SPDX-License-Identifier: Apache-2.0
#include "observe/go/live_probes.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <iterator>

#include "observe/go/calibrate.h"

namespace mapshift::observe::go {
namespace {

// To 1.25 a return from a system call is counted as a transition to running; later the runtime does it without casgstatus.
constexpr int kLastCountingSyscalls = 25;
constexpr Nanos kPatience = std::chrono::seconds(2);
constexpr size_t kDetachers = 16;

// Each link waits for a grace period of the kernel's; side by side they share it. One after the other, 64 executables took 3 s.
void detach(std::vector<Uprobes> links) {
  std::atomic<size_t> next{0};
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < std::min(kDetachers, links.size()); ++i) {
    threads.emplace_back([&] {
      for (size_t mine = next++; mine < links.size(); mine = next++) links[mine] = Uprobes();
    });
  }
}

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
  std::vector<Uprobes> links;
  for (auto& [id, file] : files_) {
    links.push_back(std::move(file->rare));
    if (file->held.attached()) links.push_back(std::move(file->held));
  }
  detach(std::move(links));
}

Result<std::shared_ptr<ProbedFile>> open_probed(const Traced& process, const ProbeCost& cost) {
  auto file = std::make_shared<ProbedFile>();
  file->opened = Fd(::open(process.executable.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!file->opened.valid() || ::fstat(file->opened.get(), &status) != 0) return fail_errno(errno, "open " + process.executable);
  if (status.st_dev != process.device || status.st_ino != process.inode) {
    return fail(ErrorCode::kStale, "process " + std::to_string(process.pid) + " runs another executable by now");
  }
  file->device = process.device;
  file->inode = process.inode;
  file->size = static_cast<uint64_t>(status.st_size);
  file->modified = std::chrono::seconds(status.st_mtim.tv_sec) + Nanos(status.st_mtim.tv_nsec);
  file->points = points_of(*process.binary, cost);
  return file;
}

void guard(ProbedFile& file) {
  // The signal that says so is one that is ignored: the lease is looked at now and then.
  if (::fcntl(file.opened.get(), F_SETSIG, SIGURG) == 0) {
    file.leased = ::fcntl(file.opened.get(), F_SETLEASE, F_RDLCK) == 0;
  }
}

bool threatened(const ProbedFile& file) {
  // A lease that is to be given up shows as what it is to become; where there never was one, reading it gives the same.
  return file.leased && ::fcntl(file.opened.get(), F_GETLEASE) == F_UNLCK;
}

// The one whose probes are attached already, or a new one. A file cannot be written to while a process runs it; one that was
// changed has no process any more, though nobody may have told us yet: its probes must not stay.
Result<std::shared_ptr<ProbedFile>> LiveProbes::file_of(const Traced& process) {
  MS_TRY(const std::shared_ptr<ProbedFile> fresh, open_probed(process, cost_));
  std::shared_ptr<ProbedFile> known;
  {
    const std::lock_guard lock(mutex_);
    const auto found = files_.find({process.device, process.inode});
    if (found != files_.end()) known = found->second;
  }
  if (known && known->same_as(*fresh)) return known;
  if (known) {
    known->rare = Uprobes();
    const std::lock_guard lock(mutex_);
    known->held = Uprobes();
    known->pids.clear();
    files_.erase({process.device, process.inode});
  }
  guard(*fresh);
  MS_TRY(fresh->rare, rare_.attach(fresh->path(), fresh->points.rare));
  return fresh;
}

Status LiveProbes::add(const Traced& process) {
  remove(process.pid);
  MS_TRY(const std::shared_ptr<ProbedFile> file, admit(process));
  // Who asked for everything gets it from the first event on. The thread attaches, when it has ended the window that it may be in.
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kPatience, [&] {
    return stop_ || share_ < 1 || file->held.attached() || file->pids.empty() || !file->failed.empty() || !file->points.why_no_windows.empty();
  });
  return {};
}

Result<std::shared_ptr<ProbedFile>> LiveProbes::admit(const Traced& process) {
  const std::lock_guard change(change_);
  const Binary& binary = *process.binary;
  // Before the probes are there, or the first events would be nobody's.
  MS_CHECK(rare_.add(process.pid, binary.version.minor));
  auto added = hot_.add(process.pid, binary.layout.g_waitreason.value_or(0),
                        binary.version.minor <= kLastCountingSyscalls ? MS_GO_SYSCALLS_RUN : 0);
  auto found = added ? file_of(process) : Result<std::shared_ptr<ProbedFile>>(fail(added.error()));
  if (!found) {
    rare_.remove(process.pid);
    hot_.remove(process.pid);
    return found;
  }
  const std::lock_guard lock(mutex_);
  const auto& file = files_[{process.device, process.inode}] = *found;
  file->pids.insert(process.pid);
  file->failed.clear();
  auto& mine = processes_.emplace(std::piecewise_construct, std::forward_as_tuple(process.pid),
                                  std::forward_as_tuple(process, share_, file)).first->second;
  mine.counted_to.fill(monotonic_now());
  if (const auto used = cpu_seconds(process.pid)) mine.budget.used(monotonic_now(), *used);
  changed_.notify_all();
  return found;
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
      const auto listed = files_.find({file->device, file->inode});
      if (listed != files_.end() && listed->second == file) files_.erase(listed);
      last = file;
    }
    processes_.erase(found);
    counted_.erase(pid);
    changed_.notify_all();
  }
  rare_.remove(pid);
  hot_.remove(pid);
}

void LiveProbes::give_way() {
  const std::lock_guard change(change_);
  std::vector<std::shared_ptr<ProbedFile>> wanted;
  std::vector<Uprobes> released;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, file] : files_) {
      if (threatened(*file)) wanted.push_back(file);
    }
    for (const auto& file : wanted) {
      files_.erase({file->device, file->inode});
      file->pids.clear();
      released.push_back(std::exchange(file->rare, {}));
      released.push_back(std::exchange(file->held, {}));
    }
  }
  released.clear();
  for (const auto& file : wanted) file->opened.reset();
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

void LiveProbes::hold(ProbedFile& file) {
  if (file.held.attached() || !file.points.why_no_windows.empty() || !file.failed.empty()) return;
  Places all = file.points.goroutines;
  std::ranges::copy(file.points.io, std::back_inserter(all));
  auto set = hot_.attach(file.path(), all);
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
      changed_.notify_all();
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
  ProbedProcess& process = found->second;
  if (const auto used = cpu_seconds(pid)) process.budget.used(now, *used);
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
