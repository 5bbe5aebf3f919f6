// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <string>

#include "base/result.h"

namespace mapshift::promql {

struct Answer {
  int status = 0;
  std::string body;
};

struct GetLimits {
  std::chrono::milliseconds timeout = std::chrono::seconds(2);  // for all of it, connecting included
  size_t max_bytes = 1 << 20;
};

// One GET over HTTP or HTTPS. No proxy, no redirects, nothing kept between calls. Thread-safe.
// kTimeout: no whole answer in time; kTooLarge; kUnavailable: not reachable. Whatever status comes back is an answer.
[[nodiscard]] Result<Answer> http_get(const std::string& url, const GetLimits& limits = {});

// For one part of a path or a query.
[[nodiscard]] std::string url_escape(const std::string& text);

}  // namespace mapshift::promql
