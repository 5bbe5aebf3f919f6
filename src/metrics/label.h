// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

namespace mapshift::metrics {

// A label value that no scraper chokes on. Prometheus drops a whole scrape for one byte that is not UTF-8, so each
// invalid byte and each control character becomes U+FFFD; at most 256 bytes are kept.
[[nodiscard]] std::string label_value(std::string_view raw);

}  // namespace mapshift::metrics
