// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <set>

#include "metrics/series.h"
#include "observe/changes/stream.h"

namespace mapshift::metrics {

// Shows the change streams of maps as series; a map that is not followed any more loses its own. Not thread-safe.
class ChangeSeries {
 public:
  void show(Series& series, const observe::changes::Stats& stats);

 private:
  std::set<observe::changes::MapName> shown_;
};

}  // namespace mapshift::metrics
