// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace mapshift::observe::changes {
namespace {

constexpr size_t kBatch = 4096;
constexpr uint32_t kClockEach = 64;  // records for each look at the clock
constexpr auto kNap = std::chrono::microseconds(200);
constexpr auto kIdle = std::chrono::seconds(1);
constexpr auto kTails = std::chrono::milliseconds(10);

uint64_t now_ns() { return static_cast<uint64_t>(monotonic_now().count()); }

}  // namespace

void Reader::start() {
  if (thread_.joinable()) return;
  stop_ = false;
  thread_ = std::thread([this] { run(); });
}

void Reader::stop() {
  if (!thread_.joinable()) return;
  stop_ = true;
  port_.wake();
  thread_.join();
}

void Reader::add(uint32_t slot, std::shared_ptr<Topic> topic) {
  bell_.add(topic);
  const std::lock_guard lock(mutex_);
  topics_[slot] = std::move(topic);
  if (std::ranges::find(watched_, slot) == watched_.end()) watched_.push_back(slot);
}

void Reader::remove(uint32_t slot) {
  std::shared_ptr<Topic> topic;
  {
    const std::lock_guard lock(mutex_);
    topic.swap(topics_[slot]);
    std::erase(watched_, slot);
  }
  if (topic) bell_.remove(topic.get());
}

uint64_t Reader::next_number(uint32_t slot) {
  const std::lock_guard lock(mutex_);
  uint64_t next = port_.sequence(slot) + 1;  // read first: what has a lower number is reserved by now
  const bool all = port_.ring().peek([&](std::span<const std::byte> bytes) {
    ms_change change;
    if (bytes.size() < sizeof change) return;
    std::memcpy(&change, bytes.data(), sizeof change);
    if (change.slot == slot) next = std::min<uint64_t>(next, change.seq);
  });
  return all ? next : 0;
}

// Everything in it is checked before it is used: a program of somebody else may hold the ring, too.
inline void Reader::take(std::span<const std::byte> bytes) {
  if (until_clock_-- == 0) {
    now_ = now_ns();
    until_clock_ = kClockEach - 1;
  }
  ms_change change;
  if (bytes.size() < sizeof change) {
    bump(malformed_);
    return;
  }
  std::memcpy(&change, bytes.data(), sizeof change);
  if (change.slot == 0 || change.slot >= MS_CHANGE_SLOTS) {
    bump(malformed_);
    return;
  }
  Topic* topic = topics_[change.slot].get();
  if (topic == nullptr) {
    bump(unclaimed_);
    return;
  }
  if (!is_touched_[change.slot]) {
    is_touched_[change.slot] = true;
    touched_.push_back(topic);
  }
  RingReader& ring = port_.ring();
  if (!topic->take(change, bytes.subspan(sizeof change), [&ring] { return ring.produced(); })) return;
  if (change.timestamp_ns > now_) now_ = now_ns();
  latency_[change.source - 1].observe(now_ - std::min<uint64_t>(change.timestamp_ns, now_));
}

bool Reader::step(bool tails) {
  const std::lock_guard lock(mutex_);
  until_clock_ = 0;
  const size_t count = port_.ring().read(kBatch, [this](std::span<const std::byte> bytes) { take(bytes); });
  bump(records_, count);
  if (const uint64_t damaged = port_.ring().damaged(); damaged != damaged_) bump(malformed_, damaged - std::exchange(damaged_, damaged));
  settle(tails);
  bool waiting = false;
  for (Topic* topic : touched_) waiting |= topic->publish();
  touched_.clear();
  is_touched_.fill(false);
  if (waiting) bell_.ring();
  return count != 0;
}

void Reader::settle(bool tails) {
  RingReader& ring = port_.ring();
  for (const uint32_t slot : watched_) {
    Topic& topic = *topics_[slot];
    if (tails) {
      const uint64_t last = port_.sequence(slot);
      topic.handed_out(last, ring.produced());  // in this order: what was numbered by now was reserved before
    }
    if (!topic.any_missing()) continue;
    const uint64_t before = topic.lost();
    topic.settle(ring.consumed());
    if (topic.lost() != before && !is_touched_[slot]) {
      is_touched_[slot] = true;
      touched_.push_back(&topic);
    }
  }
}

void Reader::run() {
  constexpr uint64_t kNever = UINT64_MAX;
  RingReader& ring = port_.ring();
  Nanos tails_at{0};
  while (!stop_) {
    const Nanos now = monotonic_now();
    const bool tails = now >= tails_at;
    if (tails) tails_at = now + kTails;
    bool any = false;
    while (step(tails && !any) && !stop_) any = true;
    if (any) {
      port_.set_wake_at(ring.size() / 4);
      port_.wait(kNap);
    } else {
      step(true);
      port_.set_wake_at(0);
      // A producer reserves before it looks: if nothing is reserved now, it will see that it must wake us.
      port_.wait(ring.produced() == ring.consumed() ? Nanos(kIdle) : Nanos(kNap));
    }
    port_.set_wake_at(kNever);
  }
}

std::array<Histogram, kSources> Reader::latency() const {
  std::array<Histogram, kSources> out;
  for (size_t i = 0; i < kSources; ++i) out[i] = latency_[i].histogram();
  return out;
}

}  // namespace mapshift::observe::changes
