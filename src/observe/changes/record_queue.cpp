// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/record_queue.h"

#include <algorithm>

namespace mapshift::observe::changes {

void RecordQueue::push(Nanos read_at, const TypeRef& type, std::span<const std::byte> bytes) {
  const std::lock_guard lock(mutex_);
  kept_.push_back({++last_, read_at, type, {bytes.begin(), bytes.end()}});
  bytes_ += bytes.size();
  while (kept_.size() > 1 && (kept_.size() > kMaxRecords || bytes_ > kMaxBytes)) {
    bytes_ -= kept_.front().bytes.size();
    dropped_ = kept_.front().seq;
    kept_.pop_front();
  }
}

void RecordQueue::skip() {
  const std::lock_guard lock(mutex_);
  ++last_;
}

void RecordQueue::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

uint64_t RecordQueue::last() {
  const std::lock_guard lock(mutex_);
  return last_;
}

uint64_t RecordQueue::dropped() {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

RecordQueue::Taken RecordQueue::take(uint64_t after, Nanos wait, size_t limit) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, wait, [&] { return last_ > after || closed_; });
  Taken taken;
  taken.closed = closed_;
  taken.dropped = dropped_;
  auto at = std::ranges::upper_bound(kept_, after, {}, &Kept::seq);
  for (; at != kept_.end() && taken.records.size() < limit; ++at) taken.records.push_back(*at);
  taken.end = at == kept_.end() ? last_ : taken.records.back().seq;
  return taken;
}

}  // namespace mapshift::observe::changes
