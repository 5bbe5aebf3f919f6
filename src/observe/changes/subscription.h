// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <functional>
#include <memory>

#include "observe/changes/stream.h"
#include "observe/changes/topic.h"

namespace mapshift::observe::changes {

// A place in a topic's history. It keeps account: of the numbers that were handed out since it began, each is either told or in
// the `lost` of a resync.
class TopicSubscription final : public Subscription {
 public:
  // What it needs of the stream. The functions must outlive it.
  struct Host {
    std::function<std::shared_ptr<Topic>()> topic;  // the one that stands for the name now; null: not watched
    std::function<uint64_t()> version;
    std::shared_ptr<std::atomic<uint64_t>> subscribers, resyncs;
  };
  TopicSubscription(Host host, std::shared_ptr<Topic> topic, std::optional<uint64_t> since);
  ~TopicSubscription() override;
  [[nodiscard]] Result<std::vector<Event>> next(Nanos wait, size_t limit) override;

 private:
  void start_after(uint64_t since);
  void read_some(std::vector<Event>& out, size_t limit);
  void tell(std::vector<Event>& out, History::Entry& entry);
  void skip_to_newest(std::vector<Event>& out, ResyncReason reason);
  bool follow(std::vector<Event>& out);

  Host host_;
  std::shared_ptr<Topic> topic_;
  uint64_t position_ = 0;
  uint64_t filter_ = 0;     // numbers up to this one are done with
  uint64_t resume_ = UINT64_MAX;  // from this position on also lower ones are told: they stand behind the one that was told last
  uint64_t begin_ = 0;      // the first number that counts is the next one
  uint64_t accounted_ = 0;  // of the numbers after it: told, or said to be lost
  std::optional<ResyncReason> first_ = {};  // to be told before anything else
};

}  // namespace mapshift::observe::changes
