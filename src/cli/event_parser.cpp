// SPDX-License-Identifier: Apache-2.0
#include "cli/event_parser.h"

namespace mapshift::cli {

Status EventParser::feed(std::string_view piece, const std::function<void(const ServerEvent&)>& each) {
  for (const char c : piece) {
    const bool second = after_cr_ && c == '\n';
    after_cr_ = c == '\r';
    if (second) continue;
    if (c == '\n' || c == '\r') {
      end_line(each);
      continue;
    }
    line_ += c;
    if (line_.size() + event_.data.size() > kMaxEvent) return fail(ErrorCode::kTooLarge, "an event of the stream is longer than 1 MiB");
  }
  return {};
}

void EventParser::end_line(const std::function<void(const ServerEvent&)>& each) {
  if (line_.empty()) {
    if (has_data_) each(event_);
    event_ = {};
    has_data_ = false;
    return;
  }
  const std::string_view line = line_;
  const size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "event") event_.kind = value;
  if (name == "id") event_.id = value;
  if (name == "data") {
    if (has_data_) event_.data += '\n';
    event_.data += value;
    has_data_ = true;
  }
  line_.clear();
}

}  // namespace mapshift::cli
