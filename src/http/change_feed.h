// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "observe/changes/module_rings.h"
#include "observe/changes/stream.h"

namespace mapshift::http {

// One event as text/event-stream writes it, with its id. Bytes are written in hexadecimal.
[[nodiscard]] std::string event_text(const observe::changes::Event& event);
[[nodiscard]] std::string record_text(const observe::changes::RingRecord& record);
[[nodiscard]] std::string frame_text(std::string_view kind, uint64_t id, std::string_view data);

// Turns a subscription into what a Response's `stream` gives. One thread at a time.
class ChangeFeed {
 public:
  // How long one call waits for news; short, for a server that stops must not wait longer.
  static constexpr Nanos kPause = std::chrono::milliseconds(400);
  // A client that went away is only noticed when something is written to it.
  static constexpr Nanos kHeartbeat = std::chrono::seconds(2);
  static constexpr size_t kBatch = 256;  // events in one piece

  explicit ChangeFeed(std::unique_ptr<observe::changes::Subscription> subscription);
  explicit ChangeFeed(std::unique_ptr<observe::changes::RingSubscription> subscription);
  // None: the map is not watched any more, and everything was said.
  [[nodiscard]] std::optional<std::string> next();

 private:
  [[nodiscard]] bool read(std::string& out);  // false: there is nothing to come
  template <class Event>
  bool append(const Result<std::vector<Event>>& events, std::string& out);

  std::unique_ptr<observe::changes::Subscription> changes_;       // one of these two
  std::unique_ptr<observe::changes::RingSubscription> records_;
  Nanos last_written_ = monotonic_now();
  uint64_t last_id_ = 0;
  bool greeted_ = false, ended_ = false;
};

}  // namespace mapshift::http
