// SPDX-License-Identifier: Apache-2.0
#include "observe/go/timed_runner.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <thread>

namespace mapshift::observe::go {
namespace {

std::atomic<int> left_behind_now{0};
constexpr Nanos kLastSecond = std::chrono::seconds(1);

}  // namespace

struct TimedRunner::Shared {
  std::mutex mutex;
  std::condition_variable changed;
  std::function<void()> work;  // to do, or being done
  bool stop = false;
  bool left_behind = false;
  Nanos deadline{0};
  std::thread thread;
};

void TimedRunner::serve(const std::shared_ptr<Shared>& shared) {
  std::unique_lock lock(shared->mutex);
  for (;;) {
    shared->changed.wait(lock, [&] { return shared->work || shared->stop; });
    if (!shared->work) return;
    lock.unlock();
    shared->work();
    lock.lock();
    shared->work = nullptr;
    if (shared->left_behind) --left_behind_now;  // it did return, such as when the process was killed
    shared->changed.notify_all();
  }
}

TimedRunner::~TimedRunner() {
  if (!shared_) return;
  {
    const std::scoped_lock lock(shared_->mutex);
    shared_->stop = true;
  }
  shared_->changed.notify_all();
  shared_->thread.join();  // idle: whatever did not return was left behind by run()
}

void TimedRunner::close() {
  const std::scoped_lock lock(mutex_);
  closed_ = true;
  if (!shared_) return;
  const std::scoped_lock shared(shared_->mutex);
  shared_->deadline = std::min(shared_->deadline, monotonic_now() + kLastSecond);
  shared_->changed.notify_all();
}

std::shared_ptr<TimedRunner::Shared> TimedRunner::begin(Nanos limit, std::function<void()> work) {
  const std::scoped_lock lock(mutex_);
  if (closed_ || left_behind_now >= kMostLeftBehind) return nullptr;
  if (!shared_) {
    shared_ = std::make_shared<Shared>();
    shared_->thread = std::thread([shared = shared_] { serve(shared); });
    pthread_setname_np(shared_->thread.native_handle(), "go-read");
  }
  const std::scoped_lock shared(shared_->mutex);
  shared_->work = std::move(work);
  shared_->deadline = monotonic_now() + limit;
  shared_->changed.notify_all();
  return shared_;
}

bool TimedRunner::run(Nanos limit, std::function<void()> work) {
  const std::scoped_lock one(one_);
  const auto shared = begin(limit, std::move(work));
  if (!shared) return false;
  {
    std::unique_lock lock(shared->mutex);
    while (shared->work && monotonic_now() < shared->deadline) shared->changed.wait_for(lock, shared->deadline - monotonic_now());
    if (!shared->work) return true;
    shared->stop = true;  // should it ever return
    shared->left_behind = true;
    ++left_behind_now;
    shared->thread.detach();
  }
  const std::scoped_lock lock(mutex_);
  shared_.reset();
  return false;
}

}  // namespace mapshift::observe::go
