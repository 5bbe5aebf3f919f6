// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/scanner.h"

#include <algorithm>

namespace mapshift::observe::changes {
namespace {

constexpr auto kTick = std::chrono::seconds(1);

}  // namespace

Status MapScan::pass() {
  const std::lock_guard lock(mutex_);
  return pass_locked();
}

Status MapScan::pass_locked() {
  auto report = scan_.pass();
  totals_.problem = report ? "" : report.error().message;
  if (!report) return fail(std::move(report).error());
  ++totals_.passes;
  totals_.keys += report->keys;
  totals_.deferred += report->deferred + report->no_memory;
  last_version_ = version_();
  return {};
}

Nanos MapScan::run_if_due(Nanos now) {
  const std::lock_guard lock(mutex_);
  if (!due_) {
    due_ = now + interval_;
    last_version_ = version_();
  }
  if (now < *due_) return *due_;
  if (when_silent_ && version_() != last_version_) {
    last_version_ = version_();
    due_ = now + interval_;
    return *due_;
  }
  (void)pass_locked();  // a failure stands in totals(), and the next pass tries again
  const Nanos ended = monotonic_now();
  due_ = std::max(*due_ + interval_, ended + (ended - now));  // at most half of a CPU, whatever the interval
  return *due_;
}

MapScan::Totals MapScan::totals() {
  const std::lock_guard lock(mutex_);
  return totals_;
}

Scanner::Scanner(std::function<void()> tick) : tick_(std::move(tick)), thread_([this] { run(); }) {}

void Scanner::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Scanner::add(std::shared_ptr<MapScan> scan) {
  {
    const std::lock_guard lock(mutex_);
    scans_.push_back(std::move(scan));
    dirty_ = true;
  }
  changed_.notify_all();
}

void Scanner::remove(const MapScan* scan) {
  const std::lock_guard lock(mutex_);
  std::erase_if(scans_, [&](const auto& one) { return one.get() == scan; });
}

void Scanner::run() {
  Nanos tick_at = monotonic_now() + Nanos(kTick);
  std::unique_lock lock(mutex_);
  while (!stop_) {
    dirty_ = false;
    const auto scans = scans_;
    lock.unlock();
    Nanos next = tick_at;
    for (const auto& scan : scans) next = std::min(next, scan->run_if_due(monotonic_now()));
    if (monotonic_now() >= tick_at) {
      tick_();
      tick_at = monotonic_now() + Nanos(kTick);
    }
    lock.lock();
    changed_.wait_for(lock, std::max(next - monotonic_now(), Nanos(0)), [this] { return stop_ || dirty_; });
  }
}

}  // namespace mapshift::observe::changes
