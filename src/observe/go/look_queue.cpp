// SPDX-License-Identifier: Apache-2.0
#include "observe/go/look_queue.h"

#include <algorithm>

namespace mapshift::observe::go {

void LookQueue::push(int pid, Nanos delay) {
  const Nanos due = monotonic_now() + delay;
  {
    const std::scoped_lock lock(mutex_);
    const auto [entry, added] = due_.try_emplace(pid, due);
    if (!added) order_.erase({entry->second, pid});
    entry->second = std::min(entry->second, due);
    order_.emplace(entry->second, pid);
  }
  changed_.notify_one();
}

void LookQueue::push_all() {
  {
    const std::scoped_lock lock(mutex_);
    all_ = true;
  }
  changed_.notify_one();
}

void LookQueue::close() {
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

std::optional<int> LookQueue::next() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (closed_) return {};
    if (all_) {
      all_ = false;
      return kAll;
    }
    if (order_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto [due, pid] = *order_.begin();
    const Nanos left = due - monotonic_now();
    if (left <= Nanos{0}) {
      order_.erase(order_.begin());
      due_.erase(pid);
      return pid;
    }
    changed_.wait_for(lock, left);
  }
}

}  // namespace mapshift::observe::go
