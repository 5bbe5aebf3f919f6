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
      const auto process = self->roster_.find(pid);
      return process ? process->recorded() : std::nullopt;
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
    apply_limit();
  }
}

void LiveCapture::look_at_all() {
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
  auto found = identify(pid, executables_, settings().processes);
  if (!found) {
    try_again(pid);
  } else if (!*found) {
    tries_.erase(pid);
  } else {
    admit(std::move(**found));
  }
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
  if (!over && !process->start()) {
    roster_.free_name(process);
    try_again(pid);
    return;
  }
  tries_.erase(pid);
  roster_.add(process);
  watch_->watch(pid, process->found().pidfd);
  if (!over) begin(process);
}

void LiveCapture::begin(const Roster::Entry& process) {
  if (process->state() != State::kCaptured || !probes_) return;
  if (const Status added = probes_->add(process->traced()); !added) process->add_note("no probes: " + added.error().message);
}

void LiveCapture::drop(const Roster::Entry& process) {
  if (probes_) probes_->remove(process->pid());
  watch_->unwatch(process->found().pidfd);
  roster_.remove(process);
}

// As many as the settings allow, those found first first.
void LiveCapture::apply_limit() {
  const size_t limit = settings().max_processes;
  size_t captured = roster_.captured();
  const auto all = roster_.all();
  for (const Roster::Entry& process : all) {
    if (captured >= limit) break;
    if (process->state() != State::kOverLimit || !process->start()) continue;
    begin(process);
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
      if (process->take_census() != Process::Reading::kDone) queue_.push(process->pid());
    lock.lock();
  }
}

bool LiveCapture::report_on(const Roster::Entry& process, ProcessReport& report, Nanos& census_budget) {
  if (process->read(report, census_budget) != Process::Reading::kDone) {
    queue_.push(process->pid());
    return false;
  }
  if (report.state != State::kCaptured) return true;
  if (!watch_->shortcoming().empty()) report.notes.push_back(watch_->shortcoming());
  if (probes_) {
    probes_->fill(process->pid(), report);
  } else if (!why_no_probes_.empty()) {
    report.notes.push_back(why_no_probes_);
  }
  return true;
}

std::vector<ProcessReport> LiveCapture::reports(Nanos max_age) {
  const std::scoped_lock lock(reports_mutex_);
  if (reported_at_ != Nanos{0} && monotonic_now() - reported_at_ <= max_age) return reports_;
  reports_.clear();
  Nanos budget = kCensusBudget;
  for (const Roster::Entry& process : roster_.all()) {
    ProcessReport report;
    if (report_on(process, report, budget)) reports_.push_back(std::move(report));
  }
  std::ranges::sort(reports_, in_order);
  reported_at_ = monotonic_now();
  return reports_;
}

Result<ProcessReport> LiveCapture::census(int pid) {
  const auto missing = [pid] { return fail(ErrorCode::kNotFound, "no Go process with pid " + std::to_string(pid) + " is known"); };
  const auto process = roster_.find(pid);
  ProcessReport report;
  Nanos none{0};
  if (!process) return missing();
  if (process->take_census() != Process::Reading::kDone) {
    queue_.push(pid);
    return missing();
  }
  if (!report_on(process, report, none)) return missing();
  return report;
}

}  // namespace mapshift::observe::go
