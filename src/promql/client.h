// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "promql/http_get.h"

namespace mapshift::promql {

// Instant queries to one Prometheus. Thread-safe; calls block for at most the time limit.
class Client {
 public:
  // "http://127.0.0.1:9090", with or without a path and a final slash.
  explicit Client(std::string url, GetLimits limits = {});

  // The one number that the query gives now, which may be infinite or not a number; nothing when the query gives no series.
  // kInvalid: Prometheus refuses the query, or it gives several series or no numbers: it will be wrong the next time, too.
  // kUnavailable, kTimeout, kTooLarge, kInternal: no answer, or none that makes sense; another time it may be better.
  [[nodiscard]] Result<std::optional<double>> query(const std::string& text) const;
  [[nodiscard]] const std::string& url() const { return url_; }

 private:
  std::string url_;
  GetLimits limits_;
};

// What an answer of /api/v1/query says; pure. Errors as query().
[[nodiscard]] Result<std::optional<double>> parse_answer(int status, std::string_view body);

}  // namespace mapshift::promql
