// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "change_stats.h"
#include "metrics/metrics.h"

namespace mapshift::metrics {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(ChangeSeries, ShowsWhatServesAMapAndWhatWasLost) {
  Metrics metrics("test");
  metrics.set_changes(one_followed_map());
  const std::string text = metrics.serialise();
  for (const char* line : {
           R"(mapshift_map_changes_total{map="flows",module="flowmeter",op="insert",source="syscall"} 3)",
           R"(mapshift_map_changes_total{map="flows",module="flowmeter",op="delete",source="syscall"} 0)",
           R"(mapshift_map_changes_lost_total{map="flows",module="flowmeter",reason="ring_full"} 1)",
           R"(mapshift_map_changes_lost_total{map="flows",module="flowmeter",reason="unknown"} 1)",
           R"(mapshift_map_change_latency_seconds_bucket{source="syscall",le="0.01"} 3)",
           "mapshift_map_change_subscribers 4", "mapshift_map_change_resyncs_total 1"})
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
  EXPECT_THAT(text, Not(HasSubstr("source=\"scan\"} 0"))) << "not of sources that do not serve it";
}

TEST(ChangeSeries, GoesWithItsMap) {
  Metrics metrics("test");
  metrics.set_changes(one_followed_map());
  metrics.set_rings({{{"flowmeter", "events"}, 5, 40, 1, 8, 4096}});
  EXPECT_THAT(metrics.serialise(), HasSubstr(R"(mapshift_ring_records_total{map="events",module="flowmeter"} 5)"));
  auto none = one_followed_map();
  none.maps.clear();
  metrics.set_changes(none);
  metrics.set_rings({});
  const std::string text = metrics.serialise();
  EXPECT_THAT(text, Not(HasSubstr("mapshift_map_changes")));
  EXPECT_THAT(text, Not(HasSubstr("mapshift_ring")));
}

}  // namespace
}  // namespace mapshift::metrics
