// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/bell.h"

#include <algorithm>

namespace mapshift::observe::changes {
namespace {

constexpr auto kEach = std::chrono::microseconds(50);
constexpr auto kLeast = std::chrono::microseconds(250);

}  // namespace

Bell::Bell() : thread_([this] { run(); }) {}

Bell::~Bell() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  called_.notify_all();
  thread_.join();
}

void Bell::add(std::shared_ptr<Topic> topic) {
  const std::lock_guard lock(mutex_);
  topics_.push_back(std::move(topic));
}

void Bell::remove(const Topic* topic) {
  const std::lock_guard lock(mutex_);
  std::erase_if(topics_, [&](const auto& one) { return one.get() == topic; });
}

void Bell::ring() {
  if (pending_.load(std::memory_order_relaxed) || pending_.exchange(true)) return;
  { const std::lock_guard lock(mutex_); }  // it may be between its look and its sleep
  called_.notify_one();
}

void Bell::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    called_.wait(lock, [this] { return stop_ || pending_.load(); });
    pending_.store(false);
    const auto topics = topics_;
    lock.unlock();
    uint32_t woken = 0;
    for (const auto& topic : topics) {
      if (const uint32_t waiting = topic->waiting(); waiting != 0) {
        topic->wake_all();
        woken += waiting;
      }
    }
    lock.lock();
    called_.wait_for(lock, std::max<Nanos>(kLeast, woken * Nanos(kEach)), [this] { return stop_; });
  }
}

}  // namespace mapshift::observe::changes
