// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <deque>
#include <string>

namespace mapshift::metrics {

// Turns totals that start again at 0 with each new source (a program of the next generation, the next update) into
// increments, so that the counter above them continues. Sources may take turns: during an update two generations run, and
// after a rollback the older one goes on. Not thread-safe.
class Totals {
 public:
  // What `total` of `source` adds to what was already counted.
  [[nodiscard]] double advance(const std::string& source, double total) {
    auto at = std::find_if(last_.begin(), last_.end(), [&](const Last& last) { return last.source == source; });
    if (at == last_.end()) {
      if (last_.size() == kSources) last_.pop_front();
      last_.push_back({source, total});
      return total;
    }
    // A smaller total is a source that began again under the same name.
    const double increment = total >= at->total ? total - at->total : total;
    at->total = total;
    return increment;
  }

 private:
  static constexpr size_t kSources = 8;
  struct Last {
    std::string source;
    double total;
  };
  std::deque<Last> last_;  // oldest first
};

}  // namespace mapshift::metrics
