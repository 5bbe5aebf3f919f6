// SPDX-License-Identifier: Apache-2.0
#include "metrics/names.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace mapshift::metrics {
namespace {

bool is_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

TEST(Names, EachIsUniqueAndExplained) {
  std::set<std::string_view> names, helps;
  for (const Metric& metric : kMetrics) {
    SCOPED_TRACE(metric.name);
    EXPECT_TRUE(names.insert(metric.name).second);
    EXPECT_TRUE(helps.insert(metric.help).second);
    EXPECT_TRUE(is_name(metric.name));
    EXPECT_TRUE(metric.name.starts_with("mapshift_") || metric.name.starts_with("process_"));
    EXPECT_GT(metric.help.size(), 10u);
    EXPECT_EQ(metric.help.back(), '.');
    EXPECT_EQ(metric.help.find_first_of("\n\\"), std::string_view::npos);
  }
}

TEST(Names, LabelsAreFewAndNeverAnIdentityOfTheWorkload) {
  for (const Metric& metric : kMetrics) {
    SCOPED_TRACE(metric.name);
    std::set<std::string_view> labels;
    for (std::string_view label : metric.labels()) {
      EXPECT_TRUE(is_name(label));
      EXPECT_TRUE(labels.insert(label).second);
      for (std::string_view bad : {"pid", "goid", "key", "le", "quantile"}) EXPECT_NE(label, bad);
    }
  }
}

TEST(Names, SuffixesTellTheUnitAndTheKind) {
  for (const Metric& metric : kMetrics) {
    SCOPED_TRACE(metric.name);
    EXPECT_EQ(metric.kind == Kind::kCounter, metric.name.ends_with("_total"));
    EXPECT_TRUE(metric.kind != Kind::kHistogram || metric.name.ends_with("_seconds"));
    for (std::string_view bad : {"_milliseconds", "_ms", "_us", "_ns", "_percent", "_kilobytes", "_megabytes", "_count", "_sum", "_bucket"})
      EXPECT_FALSE(metric.name.ends_with(bad)) << bad;
  }
}

TEST(Names, HistogramsHaveRisingBounds) {
  for (const Metric& metric : kMetrics) {
    SCOPED_TRACE(metric.name);
    const bool counts_itself = metric.kind == Kind::kHistogram && !metric.name.starts_with("mapshift_go_") && !metric.name.starts_with("mapshift_map_change_");
    EXPECT_EQ(counts_itself, !metric.buckets.empty()) << "the buckets of Go processes are those of their source";
    EXPECT_TRUE(std::is_sorted(metric.buckets.begin(), metric.buckets.end()));
    EXPECT_EQ(std::adjacent_find(metric.buckets.begin(), metric.buckets.end()), metric.buckets.end());
  }
}

}  // namespace
}  // namespace mapshift::metrics
