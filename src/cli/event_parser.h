// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mapshift::cli {

struct ServerEvent {
  std::string kind = {};  // "change"
  std::string id = {};
  std::string data = {};
};

// Cuts a text/event-stream into events, in whatever pieces it comes; lines end in LF, CR LF or CR. Comments are passed over.
class EventParser {
 public:
  static constexpr size_t kMaxEvent = size_t{1} << 20;

  // Calls `each` for every event that is complete now. kTooLarge for one beyond kMaxEvent: the other side is no agent.
  [[nodiscard]] Status feed(std::string_view piece, const std::function<void(const ServerEvent&)>& each);

 private:
  void end_line(const std::function<void(const ServerEvent&)>& each);

  std::string line_;
  ServerEvent event_;
  bool has_data_ = false, after_cr_ = false;
};

}  // namespace mapshift::cli
