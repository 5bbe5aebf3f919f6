// SPDX-License-Identifier: Apache-2.0
#include "observe/go/live_capture.h"

#include <pthread.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/log.h"

namespace mapshift::observe::go {
namespace {

// Listed beside those that are captured; further ones are only counted. Each holds a descriptor.
constexpr size_t kMostOthers = 256;
// Walks of long lists of goroutines that one call of reports() may do.
constexpr Nanos kCensusBudget = std::chrono::milliseconds(100);
// Beyond these a file or a process does not answer; far above what a loaded machine needs.
constexpr Nanos kReadLimit = std::chrono::seconds(5), kLookLimit = std::chrono::seconds(30);
constexpr Nanos kFirstRetry = std::chrono::milliseconds(20), kLastRetry = std::chrono::seconds(5);

bool in_order(const ProcessReport& a, const ProcessReport& b) {
  const bool first = a.state == State::kCaptured, second = b.state == State::kCaptured;
  return first != second ? first : a.name < b.name;
}

}  // namespace

LiveCapture::LiveCapture(Settings settings, std::unique_ptr<Probes> probes, std::string why_no_probes)
    : settings_(std::move(settings)), probes_(std::move(probes)), why_no_probes_(std::move(why_no_probes)) {}

Result<std::unique_ptr<LiveCapture>> LiveCapture::start(Settings settings, std::unique_ptr<Probes> probes, std::string why_no_probes) {
  std::unique_ptr<LiveCapture> out(new LiveCapture(std::move(settings), std::move(probes), std::move(why_no_probes)));
  LiveCapture* self = out.get();
  if (self->probes_) {
    self->probes_->set_recorded([self](int pid) {
      const auto count = std::make_shared<std::optional<uint64_t>>();
      const auto process = self->roster_.find(pid);
      const bool done = process && self->in_time(self->recorded_, process, [process, count] { *count = process->recorded(); });
      return done ? *count : std::nullopt;
    });
  }
  MS_TRY(self->watch_, Watch::start([self](int pid) { self->queue_.push(pid); }, [self] { self->queue_.push_all(); }));
  if (!self->watch_->shortcoming().empty()) log::warn("go discovery is slow", {{"reason", self->watch_->shortcoming()}});
  self->looker_ = std::thread([self] { self->look(); });
  pthread_setname_np(self->looker_.native_handle(), "go-look");
  self->censuses_ = std::thread([self] { self->take_censuses(); });
  pthread_setname_np(self->censuses_.native_handle(), "go-census");
  return out;
}

LiveCapture::~LiveCapture() {
  {
    const std::scoped_lock lock(settings_mutex_);
    closing_ = true;
  }
  settings_changed_.notify_all();
  queue_.close();
  for (TimedRunner* runner : {&looks_, &walks_, &reads_, &asked_, &recorded_}) runner->close();
  if (looker_.joinable()) looker_.join();
  if (censuses_.joinable()) censuses_.join();
  watch_.reset();
  probes_.reset();  // its thread asks the roster
}

Settings LiveCapture::settings() const {
  const std::scoped_lock lock(settings_mutex_);
  return settings_;
}

void LiveCapture::configure(Settings settings) {
  if (probes_) probes_->set_budget(settings.overhead_budget);
  {
    const std::scoped_lock lock(settings_mutex_);
    settings_ = std::move(settings);
  }
  settings_changed_.notify_all();
  queue_.push_all();
}

void LiveCapture::look() {
  while (const auto pid = queue_.next()) {
    if (*pid == LookQueue::kAll) {
      look_at_all();
    } else {
      look_at(*pid);
    }
    if (std::exchange(limit_is_due_, false)) apply_limit();
  }
}

void LiveCapture::look_at_all() {
  limit_is_due_ = true;
  for (const Roster::Entry& process : roster_.all()) queue_.push(process->pid());
  const auto pids = all_pids();
  for (const int pid : pids) queue_.push(pid);
  std::erase_if(unlisted_, [alive = std::set<int>(pids.begin(), pids.end())](const auto& entry) { return !alive.contains(entry.first); });
}

void LiveCapture::try_again(int pid) {
  const unsigned tries = tries_[pid]++;
  queue_.push(pid, std::min(kFirstRetry * (1 << std::min(tries, 10U)), kLastRetry));
}

void LiveCapture::look_at(int pid) {
  if (const auto known = roster_.find(pid)) {
    if (known->still_same() && wanted(settings().processes, known->found().path, known->found().cgroup)) return;
    drop(known);
  }
  if (const auto shunned = shunned_.find(pid); shunned != shunned_.end()) {
    if (start_ticks(pid).value_or(0) == shunned->second) return;
    shunned_.erase(shunned);
  }
  using Identified = Result<std::optional<Found>>;
  const auto found = std::make_shared<Identified>();
  const auto work = [found, pid, executables = executables_, filters = settings().processes] {
    *found = identify(pid, *executables, filters);
  };
  if (!looks_.run(kLookLimit, work)) {
    if (closing_) return;
    log::warn("an executable does not answer", {{"pid", std::to_string(pid)}});
    shunned_[pid] = start_ticks(pid).value_or(0);
  } else if (!*found) {
    try_again(pid);
  } else if (!**found) {
    tries_.erase(pid);
  } else {
    admit(std::move(***found));
  }
}

bool LiveCapture::in_time(TimedRunner& runner, const Roster::Entry& process, std::function<void()> work) {
  if (runner.run(kReadLimit, std::move(work))) return true;
  if (closing_) return false;
  process->give_up();
  log::warn("a read of a process did not return", {{"pid", std::to_string(process->pid())}, {"process", process->name()}});
  return false;
}

bool LiveCapture::start(const Roster::Entry& process) {
  const auto up = std::make_shared<bool>(false);
  return !in_time(looks_, process, [process, up] { *up = process->start(); }) || *up;
}

void LiveCapture::admit(Found found) {
  const int pid = found.pid;
  const size_t captured = roster_.captured();
  if (roster_.size() >= captured + kMostOthers) {
    const auto [known, added] = unlisted_.try_emplace(pid, found.start_ticks);
    if (added || std::exchange(known->second, found.start_ticks) != found.start_ticks) ++dropped_;
    return;
  }
  const Roster::Entry process = roster_.name(std::move(found));
  const bool over = captured >= settings().max_processes;
  if (unlisted_.erase(pid) == 0 && over) ++dropped_;
  if (!over && !start(process)) {
    roster_.free_name(process);
    try_again(pid);
    return;
  }
  tries_.erase(pid);
  add_probes(process);  // before anybody sees it: a captured process has all that it will have
  roster_.add(process);
  watch_->watch(pid, process->found().pidfd);
}

void LiveCapture::add_probes(const Roster::Entry& process) {
  if (process->state() != State::kCaptured || !probes_) return;
  if (const Status added = probes_->add(process->traced()); !added) process->add_note("no probes: " + added.error().message);
}

void LiveCapture::drop(const Roster::Entry& process) {
  if (probes_) probes_->remove(process->pid());
  watch_->unwatch(process->found().pidfd);
  roster_.remove(process);
  limit_is_due_ = true;
}

// As many as the settings allow, those found first first.
void LiveCapture::apply_limit() {
  const size_t limit = settings().max_processes;
  size_t captured = roster_.captured();
  const auto all = roster_.all();
  for (const Roster::Entry& process : all) {
    if (captured >= limit) break;
    if (process->state() != State::kOverLimit) continue;
    if (!start(process)) {
      limit_is_due_ = true;
      try_again(process->pid());
      continue;
    }
    add_probes(process);
    if (process->state() == State::kCaptured) ++captured;
  }
  for (auto process = all.rbegin(); captured > limit && process != all.rend(); ++process) {
    if ((*process)->state() != State::kCaptured) continue;
    if (probes_) probes_->remove((*process)->pid());
    (*process)->stop();
    ++dropped_;
    --captured;
  }
}

void LiveCapture::take_censuses() {
  std::unique_lock lock(settings_mutex_);
  while (!closing_) {
    const Nanos interval = settings_.census_interval;
    static constexpr Nanos kFar = std::chrono::hours(1), kNear = std::chrono::milliseconds(100);
    settings_changed_.wait_for(lock, interval > Nanos{0} ? std::max(interval, kNear) : kFar);
    if (closing_ || interval == Nanos{0}) continue;
    lock.unlock();
    for (const Roster::Entry& process : roster_.all())
      if (!closing_ && !count_goroutines(walks_, process)) queue_.push(process->pid());
    lock.lock();
  }
}

bool LiveCapture::count_goroutines(TimedRunner& runner, const Roster::Entry& process) {
  const auto outcome = std::make_shared<Process::Reading>(Process::Reading::kDone);
  return !in_time(runner, process, [process, outcome] { *outcome = process->take_census(); }) || *outcome == Process::Reading::kDone;
}

// What the probes and the agent know besides.
void LiveCapture::finish(const Roster::Entry& process, ProcessReport& report) {
  if (report.state != State::kCaptured) return;
  if (!watch_->shortcoming().empty()) report.notes.push_back(watch_->shortcoming());
  if (probes_) {
    probes_->fill(process->pid(), report);
  } else if (!why_no_probes_.empty()) {
    report.notes.push_back(why_no_probes_);
  }
}

// Owned by the thread that reads and by the one that waits: of what is before `done` only the latter touches anything.
struct LiveCapture::Round {
  std::vector<Roster::Entry> processes;
  std::vector<ProcessReport> reports;
  std::vector<Process::Reading> outcomes;
  std::atomic<size_t> done{0};
  std::atomic<bool> given_up{false};
  Nanos census_budget = kCensusBudget;

  void read() {
    for (size_t i = 0; i < processes.size() && !given_up; ++i) {
      outcomes[i] = processes[i]->read(reports[i], census_budget);
      done = i + 1;
    }
  }
};

void LiveCapture::read_all() {
  reports_.clear();
  for (auto left = roster_.all(); !left.empty();) {
    const auto round = std::make_shared<Round>();
    round->processes = left;
    round->reports.resize(left.size());
    round->outcomes.resize(left.size());
    const bool all = reads_.run(kReadLimit, [round] { round->read(); });
    round->given_up = !all;
    const size_t done = round->done;
    for (size_t i = 0; i < done; ++i) {
      if (round->outcomes[i] == Process::Reading::kDone) {
        finish(left[i], round->reports[i]);
        reports_.push_back(std::move(round->reports[i]));
      } else {
        queue_.push(left[i]->pid());
      }
    }
    if (done == left.size() || closing_) return;
    left[done]->give_up();
    log::warn("a read of a process did not return", {{"pid", std::to_string(left[done]->pid())}, {"process", left[done]->name()}});
    reports_.push_back(left[done]->outline());
    left.erase(left.begin(), left.begin() + static_cast<ptrdiff_t>(done) + 1);
  }
}

std::vector<ProcessReport> LiveCapture::reports(Nanos max_age) {
  const std::scoped_lock lock(reports_mutex_);
  if (reported_at_ != Nanos{0} && monotonic_now() - reported_at_ <= max_age) return reports_;
  read_all();
  std::ranges::sort(reports_, in_order);
  reported_at_ = monotonic_now();
  return reports_;
}

Result<ProcessReport> LiveCapture::census(int pid) {
  const auto process = roster_.find(pid);
  if (process && !count_goroutines(asked_, process)) queue_.push(pid);
  for (auto& report : reports(Nanos{0}))
    if (process && report.pid == pid) return std::move(report);
  return fail(ErrorCode::kNotFound, "no Go process with pid " + std::to_string(pid) + " is known");
}

}  // namespace mapshift::observe::go
