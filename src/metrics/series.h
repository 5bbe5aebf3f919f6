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
#include "observe/histogram.h"

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
  // A histogram that somebody else counts: `total` is what it has counted by now. When it cannot be the continuation of what was
  // given before (other bounds, smaller counts) the series begins anew.
  void set_total(Id id, Values values, const observe::Histogram& total);
  // A counter that somebody else counts; it begins anew when it fell.
  void set_total(Id id, Values values, double total);
  // The values of `leading` are those of the first labels; an empty `leading` removes every series of the metric.
  void remove(Id id, Values leading);
  // All series whose label `name` has this value.
  void remove_labelled(std::string_view name, std::string_view value);
  void remove_module(std::string_view module) { remove_labelled("module", module); }
  [[nodiscard]] size_t size() const { return count_; }
  [[nodiscard]] std::string serialise() const;

 private:
  using Family = std::variant<prometheus::Family<prometheus::Gauge>*, prometheus::Family<prometheus::Counter>*,
                              prometheus::Family<prometheus::Histogram>*>;
  using Instance = std::variant<prometheus::Gauge*, prometheus::Counter*, prometheus::Histogram*>;
  using Labels = std::vector<std::string>;

  template <class T>
  T* find_or_add(Id id, Values values, std::span<const double> bounds = {});
  Instance create(const Metric& metric, const Labels& labels, std::span<const double> bounds);
  void drop(Id id, Instance instance);

  prometheus::Registry registry_;
  std::vector<Family> families_;                                    // by Id
  std::array<std::map<Labels, Instance>, kMetrics.size()> series_;  // by Id
  std::map<std::pair<Id, Labels>, observe::Histogram> totals_;      // as last given to set_total()
  size_t count_ = 0;
};

}  // namespace mapshift::metrics
