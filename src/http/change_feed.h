// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "observe/changes/stream.h"

namespace mapshift::http {

// One event as text/event-stream writes it, with its id. Bytes are written in hexadecimal.
[[nodiscard]] std::string event_text(const observe::changes::Event& event);

// Turns a subscription into what a Response's `stream` gives. One thread at a time.
class ChangeFeed {
 public:
  // How long one call waits for news; short, for a server that stops must not wait longer.
  static constexpr Nanos kPause = std::chrono::milliseconds(400);
  // A client that went away is only noticed when something is written to it.
  static constexpr Nanos kHeartbeat = std::chrono::seconds(2);
  static constexpr size_t kBatch = 256;  // events in one piece

  explicit ChangeFeed(std::unique_ptr<observe::changes::Subscription> subscription);
  // None: the map is not watched any more, and everything was said.
  [[nodiscard]] std::optional<std::string> next();

 private:
  std::unique_ptr<observe::changes::Subscription> subscription_;
  Nanos last_written_;
  uint64_t last_id_ = 0;
  bool greeted_ = false, ended_ = false;
};

}  // namespace mapshift::http
