// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace mapshift::http {

inline constexpr size_t kMaxBody = size_t{1} << 20;

using Headers = std::vector<std::pair<std::string, std::string>>;

// One request, as the client wrote it: hostile until proven otherwise.
struct Request {
  std::string method;  // "GET"
  std::string path;    // neither decoded nor normalised, without the query
  std::string query;   // not decoded, without the '?'
  Headers headers = {};
  // Set by whoever checked the credentials: a known client may make the server read what it sends beside the point.
  bool trusted = false;
  // The whole body. Blocks; at most one call. Errors: kTooLarge, kTimeout.
  std::function<Result<std::string>()> read_body = {};
  // True once the server is about to stop: whoever waits must answer.
  std::function<bool()> stopping = {};

  // The first one of that name, in any case; empty when there is none.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
  [[nodiscard]] size_t count_header(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body = {};
  Headers headers = {};  // beside those that every response has
  // Instead of `body`: asked for what to write next, on the thread that serves the request, until it gives none, the client is
  // gone, or the server stops. Empty: nothing now. Each call must return within half a second.
  std::function<std::optional<std::string>()> stream = {};
};

[[nodiscard]] std::string_view reason_phrase(int status);
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b);
// None for a broken escape, and for a character that no name of ours holds: a control character or a '/'.
[[nodiscard]] std::optional<std::string> decode_segment(std::string_view text);
// The first `name` of a query; absent: nullopt, broken escape: empty.
[[nodiscard]] std::optional<std::string> query_value(std::string_view query, std::string_view name);

}  // namespace mapshift::http
