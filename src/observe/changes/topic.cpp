// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/topic.h"

#include <algorithm>

namespace mapshift::observe::changes {
namespace {

size_t round8(size_t bytes) { return (bytes + 7) / 8 * 8; }

size_t payload_of(const Topic::Shape& shape) {
  if (!shape.keys && !shape.values) return 0;
  return round8(shape.key_size) + (shape.values && shape.value_size <= MS_CHANGE_MAX_VALUE ? round8(shape.value_size) : 0);
}

}  // namespace

std::string to_string(ResyncReason reason) {
  switch (reason) {
    case ResyncReason::kLost: return "lost";
    case ResyncReason::kReplaced: return "map-replaced";
    case ResyncReason::kSlow: return "slow";
    case ResyncReason::kTooOld: return "since-too-old";
    case ResyncReason::kUnknown: return "since-unknown";
    case ResyncReason::kMissed: return "missed";
  }
  return "lost";  // of a torn entry, which nobody is given
}

Topic::Topic(const Shape& shape)
    : shape_(shape), gaps_(shape.first), history_(shape.history, payload_of(shape)), floor_known_(shape.first != 0),
      floor_(shape.first == 0 ? UINT64_MAX : shape.first - 1) {}

bool Topic::fits(const Shape& shape) const {
  if (shape.keys != shape_.keys || shape.values != shape_.values || shape.history != shape_.history) return false;
  return !shape.keys || (shape.key_size == shape_.key_size && shape.value_size == shape_.value_size);
}

bool Topic::well_formed(const ms_change& change, size_t payload) const {
  if (change.op < 1 || change.op > kOps || change.source < 1 || change.source > kSources || change.seq == 0) return false;
  if (change.key_size == 0) return change.value_size == 0 && payload == 0;
  // Programs that still run with what was asked before may send bytes that are no longer wanted: they are as declared, too.
  return change.key_size == shape_.key_size && (change.value_size == 0 || change.value_size == shape_.value_size) &&
         payload == round8(change.key_size) + round8(change.value_size);
}

void Topic::settle(uint64_t consumed) {
  for (const auto& [first, last] : gaps_.settle(consumed)) {
    bump(lost_, last - first + 1);
    history_.append_resync(last, last - first + 1, static_cast<uint32_t>(ResyncReason::kLost));
  }
}

void Topic::resync(uint64_t version, ResyncReason reason) {
  history_.append_resync(version, 0, static_cast<uint32_t>(reason));
  history_.publish();
}

bool Topic::publish() {
  history_.publish();
  // Either the waiter sees the new head, or we see the waiter.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return waiting_.load(std::memory_order_relaxed) != 0;
}

uint64_t Topic::complete_from() const { return std::max(history_.forgotten(), floor_.load(std::memory_order_relaxed)); }

void Topic::wait_beyond(uint64_t head, Nanos limit) {
  std::unique_lock lock(mutex_);
  waiting_.fetch_add(1, std::memory_order_seq_cst);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  changed_.wait_for(lock, limit, [&] { return history_.head() != head || closed(); });
  waiting_.fetch_sub(1, std::memory_order_relaxed);
}

void Topic::wake_all() {
  const std::lock_guard lock(mutex_);  // a waiter between its look and its sleep holds it
  changed_.notify_all();
}

void Topic::close() {
  closed_.store(true, std::memory_order_release);
  wake_all();
}

}  // namespace mapshift::observe::changes
