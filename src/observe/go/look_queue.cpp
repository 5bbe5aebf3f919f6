// SPDX-License-Identifier: Apache-2.0
#include "observe/go/look_queue.h"

#include <algorithm>

namespace mapshift::observe::go {

void LookQueue::push(int pid, Nanos delay) {
  const Nanos due = monotonic_now() + delay;
  {
    const std::scoped_lock lock(mutex_);
    const auto [entry, added] = due_.try_emplace(pid, due);
    entry->second = std::min(entry->second, due);
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
    const auto first = std::ranges::min_element(due_, {}, [](const auto& entry) { return entry.second; });
    if (first == due_.end()) {
      changed_.wait(lock);
      continue;
    }
    const Nanos left = first->second - monotonic_now();
    if (left <= Nanos{0}) {
      const int pid = first->first;
      due_.erase(first);
      return pid;
    }
    changed_.wait_for(lock, left);
  }
}

}  // namespace mapshift::observe::go
