// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/subscription.h"

#include <algorithm>

namespace mapshift::observe::changes {

TopicSubscription::TopicSubscription(Host host, std::shared_ptr<Topic> topic, std::optional<uint64_t> since)
    : host_(std::move(host)), topic_(std::move(topic)), position_(topic_->history().head()) {
  host_.subscribers->fetch_add(1, std::memory_order_relaxed);
  if (since) start_after(*since);
}

TopicSubscription::~TopicSubscription() { host_.subscribers->fetch_sub(1, std::memory_order_relaxed); }

void TopicSubscription::start_after(uint64_t since) {
  if (since > host_.version()) {
    first_ = ResyncReason::kUnknown;
    return;
  }
  const History& history = topic_->history();
  // Records may stand a little out of order, so the first one that is newer is looked for from the oldest on.
  position_ = history.tail();
  for (const uint64_t head = history.head(); position_ < head; ++position_) {
    uint64_t number = 0;
    if (!history.number_at(position_, number)) {
      position_ = std::max(position_, history.tail());
    } else if (number > since) {
      break;
    }
  }
  filter_ = since;
  // After the search: what was overwritten meanwhile counts. Nothing was changed since the map was watched: nothing is missing.
  const uint64_t from = topic_->complete_from();
  const bool complete = from == UINT64_MAX ? since == host_.version() : since >= from;
  if (!complete) first_ = ResyncReason::kTooOld;
}

void TopicSubscription::resync(std::vector<Event>& out, uint64_t lost, ResyncReason reason) {
  // In this order: what is appended after the head was read is told, the rest is below the version.
  position_ = topic_->history().head();
  const uint64_t version = host_.version();
  filter_ = version;
  out.emplace_back(Resync{version, lost, to_string(reason)});
  host_.resyncs->fetch_add(1, std::memory_order_relaxed);
}

void TopicSubscription::read_some(std::vector<Event>& out, size_t limit) {
  const uint64_t head = topic_->history().head();
  History::Entry entry;
  while (position_ < head && out.size() < limit) {
    if (!topic_->history().read(position_, entry)) {
      resync(out, topic_->history().head() - position_, ResyncReason::kSlow);
      return;
    }
    ++position_;
    if (entry.resync != 0) {
      if (entry.change.seq <= filter_) continue;
      out.emplace_back(Resync{entry.change.seq, entry.lost, to_string(static_cast<ResyncReason>(entry.resync))});
      host_.resyncs->fetch_add(1, std::memory_order_relaxed);
    } else if (entry.change.seq > filter_) {
      out.emplace_back(std::move(entry.change));
    }
  }
}

// The topic was closed and is read to its end. True: another one stands for the name now.
bool TopicSubscription::follow(std::vector<Event>& out) {
  auto present = host_.topic();
  if (!present || present == topic_) return false;
  topic_ = std::move(present);
  resync(out, 0, ResyncReason::kReplaced);
  return true;
}

Result<std::vector<Event>> TopicSubscription::next(Nanos wait, size_t limit) {
  std::vector<Event> out;
  const Nanos deadline = monotonic_now() + wait;
  if (first_) {
    resync(out, 0, *first_);
    first_.reset();
  }
  while (true) {
    const bool closed = topic_->closed();  // before the head is read: nothing is appended after it
    const uint64_t head = topic_->history().head();
    read_some(out, std::max<size_t>(limit, 1));
    if (!out.empty()) return out;
    if (closed && position_ >= head) {
      if (follow(out)) return out;
      return fail(ErrorCode::kNotFound, "the map is not watched any more");
    }
    const Nanos now = monotonic_now();
    if (now >= deadline) return out;
    if (position_ >= head) topic_->wait_beyond(head, deadline - now);
  }
}

}  // namespace mapshift::observe::changes
