// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "metrics/names.h"

namespace mapshift::metrics {

// All series of the table's metrics, found by label values in the table's order. It owns the registry, remembers what it
// added so that series can be removed by a label, and bounds their number. Not thread-safe, but for serialise().
class Series {
 public:
  static constexpr size_t kMaxSeries = 5000;
  using Values = std::initializer_list<std::string_view>;

  Series();
  // Beyond kMaxSeries nothing is added, and the attempt is counted.
  void set(Id id, Values values, double value);
  void touch(Id id, Values values);  // a gauge that is there, at 0 when it was not
  void add(Id id, Values values, double increment = 0);
  void observe(Id id, Values values, double value);
  void start_histogram(Id id, Values values);  // there, with no observation
  // The values of `leading` are those of the first labels; an empty `leading` removes every series of the metric.
  void remove(Id id, Values leading);
  void remove_module(std::string_view module);
  [[nodiscard]] std::string serialise() const;

 private:
  using Family = std::variant<prometheus::Family<prometheus::Gauge>*, prometheus::Family<prometheus::Counter>*,
                              prometheus::Family<prometheus::Histogram>*>;
  using Instance = std::variant<prometheus::Gauge*, prometheus::Counter*, prometheus::Histogram*>;
  using Labels = std::vector<std::string>;

  template <class T>
  T* find_or_add(Id id, Values values);
  Instance create(const Metric& metric, const Labels& labels);
  void drop(Id id, Instance instance);

  prometheus::Registry registry_;
  std::vector<Family> families_;                                    // by Id
  std::array<std::map<Labels, Instance>, kMetrics.size()> series_;  // by Id
  size_t count_ = 0;
};

}  // namespace mapshift::metrics
