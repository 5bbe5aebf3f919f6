// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <set>

#include "metrics/series.h"
#include "observe/changes/module_rings.h"
#include "observe/changes/stream.h"

namespace mapshift::metrics {

// Shows the change streams of maps as series; a map that is not followed any more loses its own. Not thread-safe.
class ChangeSeries {
 public:
  void show(Series& series, const observe::changes::Stats& stats);
  void show_rings(Series& series, const std::vector<observe::changes::RingReport>& rings);

 private:
  std::set<observe::changes::MapName> shown_, rings_;
};

}  // namespace mapshift::metrics
