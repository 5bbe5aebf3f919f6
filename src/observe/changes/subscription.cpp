// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/subscription.h"

#include <algorithm>

namespace mapshift::observe::changes {

TopicSubscription::TopicSubscription(Host host, std::shared_ptr<Topic> topic, std::optional<uint64_t> since)
    : host_(std::move(host)), topic_(std::move(topic)), position_(topic_->history().head()) {
  host_.subscribers->fetch_add(1, std::memory_order_relaxed);
  filter_ = begin_ = host_.version();  // after the head was read: what is below neither is told
  if (since) start_after(*since);
}

TopicSubscription::~TopicSubscription() { host_.subscribers->fetch_sub(1, std::memory_order_relaxed); }

void TopicSubscription::start_after(uint64_t since) {
  if (since > begin_) {
    first_ = ResyncReason::kUnknown;
    return;
  }
  const History& history = topic_->history();
  // Records may stand a little out of order, so the first one that is newer is looked for from the oldest on.
  position_ = history.tail();
  bool found = false;
  for (uint64_t at = position_, head = history.head(); at < head;) {
    uint64_t number = 0;
    if (!history.number_at(at, number)) {
      at = history.tail();
      if (!found) position_ = at;
      continue;
    }
    ++at;
    found = found || number > since;
    if (!found) position_ = at;
    if (number != since) continue;
    resume_ = at;
    break;
  }
  filter_ = begin_ = since;
  // After the search: what was overwritten meanwhile counts. Nothing was changed since the map was watched: nothing is missing.
  const uint64_t from = topic_->complete_from();
  const bool complete = from == UINT64_MAX ? since == host_.version() : since >= from;
  if (!complete) first_ = ResyncReason::kTooOld;
}

void TopicSubscription::skip_to_newest(std::vector<Event>& out, ResyncReason reason) {
  // In this order: what is appended after the head was read is told, the rest is below the version.
  position_ = topic_->history().head();
  resume_ = UINT64_MAX;
  const uint64_t version = host_.version();
  uint64_t lost = 0;
  if (reason == ResyncReason::kTooOld || reason == ResyncReason::kUnknown) {
    begin_ = version;  // who knows where that number is from
    accounted_ = 0;
  } else {
    lost = version - begin_ - accounted_;
    accounted_ += lost;
  }
  filter_ = version;
  out.emplace_back(Resync{version, lost, to_string(reason)});
  host_.resyncs->fetch_add(1, std::memory_order_relaxed);
}

void TopicSubscription::tell(std::vector<Event>& out, History::Entry& entry) {
  const uint64_t number = entry.change.seq;
  // A resync that is not about numbers may stand right after the last one.
  const bool late = number < filter_ && position_ > resume_;  // its position is the one before
  if ((number < filter_ && !late) || (number == filter_ && (entry.resync == 0 || entry.lost != 0))) return;
  if (entry.resync == 0) {
    if (!late) ++accounted_;
    out.emplace_back(std::move(entry.change));
    return;
  }
  const uint64_t lost = entry.lost == 0 || late ? entry.lost : number - std::max(number - entry.lost, filter_);
  if (!late) accounted_ += lost;
  out.emplace_back(Resync{number, lost, to_string(static_cast<ResyncReason>(entry.resync))});
  host_.resyncs->fetch_add(1, std::memory_order_relaxed);
}

void TopicSubscription::read_some(std::vector<Event>& out, size_t limit) {
  const uint64_t head = topic_->history().head();
  History::Entry entry;
  while (position_ < head && out.size() < limit) {
    if (!topic_->history().read(position_, entry)) {
      skip_to_newest(out, ResyncReason::kSlow);
      return;
    }
    ++position_;
    tell(out, entry);
  }
}

// The topic was closed and is read to its end. True: another one stands for the name now.
bool TopicSubscription::follow(std::vector<Event>& out) {
  auto present = host_.topic();
  if (!present || present == topic_) return false;
  topic_ = std::move(present);
  skip_to_newest(out, ResyncReason::kReplaced);
  return true;
}

Result<std::vector<Event>> TopicSubscription::next(Nanos wait, size_t limit) {
  std::vector<Event> out;
  const Nanos deadline = monotonic_now() + wait;
  if (first_) {
    skip_to_newest(out, *first_);
    first_.reset();
  }
  while (true) {
    const bool closed = topic_->closed();  // before the head is read: nothing is appended after it
    const uint64_t head = topic_->history().head();
    const bool revoked = closed && topic_->revoked();
    if (!revoked) read_some(out, std::max<size_t>(limit, 1));
    if (!out.empty()) return out;
    if (closed && (revoked || position_ >= head)) {
      if (follow(out)) return out;
      return fail(ErrorCode::kNotFound, "the map is not watched any more");
    }
    const Nanos now = monotonic_now();
    if (now >= deadline) return out;
    if (position_ >= head) topic_->wait_beyond(head, deadline - now);
  }
}

}  // namespace mapshift::observe::changes
