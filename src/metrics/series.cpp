// SPDX-License-Identifier: Apache-2.0
#include "metrics/series.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <functional>
#include <sstream>

#include "metrics/label.h"

namespace mapshift::metrics {
namespace {

std::vector<std::string> clean(std::initializer_list<std::string_view> values) {
  std::vector<std::string> labels;
  for (std::string_view value : values) labels.push_back(label_value(value));
  return labels;
}

}  // namespace

Series::Series() {
  for (const Metric& metric : kMetrics) {
    const std::string name(metric.name), help(metric.help);
    switch (metric.kind) {
      case Kind::kGauge: families_.emplace_back(&prometheus::BuildGauge().Name(name).Help(help).Register(registry_)); break;
      case Kind::kCounter: families_.emplace_back(&prometheus::BuildCounter().Name(name).Help(help).Register(registry_)); break;
      case Kind::kHistogram: families_.emplace_back(&prometheus::BuildHistogram().Name(name).Help(help).Register(registry_)); break;
    }
  }
}

Series::Instance Series::create(const Metric& metric, const Labels& labels, std::span<const double> bounds) {
  prometheus::Labels named;
  for (size_t i = 0; i < labels.size(); ++i) named.emplace(metric.labels()[i], labels[i]);
  const Family& family = families_[static_cast<size_t>(metric.id)];
  switch (metric.kind) {
    case Kind::kGauge: return &std::get<0>(family)->Add(named);
    case Kind::kCounter: return &std::get<1>(family)->Add(named);
    case Kind::kHistogram: {
      if (bounds.empty()) bounds = metric.buckets;
      return &std::get<2>(family)->Add(named, prometheus::Histogram::BucketBoundaries(bounds.begin(), bounds.end()));
    }
  }
  return {};
}

template <class T>
T* Series::find_or_add(Id id, Values values, std::span<const double> bounds) {
  auto& known = series_[static_cast<size_t>(id)];
  Labels labels = clean(values);
  auto at = known.find(labels);
  if (at == known.end()) {
    if (count_ >= kMaxSeries && id != Id::kSeriesDropped) {
      add(Id::kSeriesDropped, {}, 1);
      return nullptr;
    }
    const Instance instance = create(metric(id), labels, bounds);
    at = known.emplace(std::move(labels), instance).first;
    ++count_;
  }
  return std::get<T*>(at->second);
}

void Series::set(Id id, Values values, double value) {
  if (auto* gauge = find_or_add<prometheus::Gauge>(id, values)) gauge->Set(value);
}

void Series::touch(Id id, Values values) { find_or_add<prometheus::Gauge>(id, values); }

void Series::add(Id id, Values values, double increment) {
  auto* counter = find_or_add<prometheus::Counter>(id, values);
  if (counter != nullptr && increment > 0) counter->Increment(increment);
}

void Series::observe(Id id, Values values, double value) {
  if (auto* histogram = find_or_add<prometheus::Histogram>(id, values)) histogram->Observe(std::max(value, 0.0));
}

void Series::start_histogram(Id id, Values values) { find_or_add<prometheus::Histogram>(id, values); }

void Series::set_total(Id id, Values values, const observe::Histogram& total) {
  const auto& bounds = total.bounds;
  const bool rising = std::adjacent_find(bounds.begin(), bounds.end(), std::greater_equal<>()) == bounds.end();
  if (bounds.empty() || !rising || total.counts.size() != bounds.size() + 1) return;
  observe::Histogram& before = totals_[{id, clean(values)}];
  std::optional<observe::Histogram> added = observe::since(total, before);
  if (!added) {
    remove(id, values);
    added = total;
  }
  auto* histogram = find_or_add<prometheus::Histogram>(id, values, bounds);
  if (histogram == nullptr) return static_cast<void>(totals_.erase({id, clean(values)}));
  histogram->ObserveMultiple({added->counts.begin(), added->counts.end()}, std::max(added->sum, 0.0));
  totals_[{id, clean(values)}] = total;
}

void Series::set_total(Id id, Values values, double total) {
  auto* counter = find_or_add<prometheus::Counter>(id, values);
  if (counter == nullptr) return;
  if (counter->Value() > total) {
    remove(id, values);
    counter = find_or_add<prometheus::Counter>(id, values);
  }
  if (counter != nullptr && total > counter->Value()) counter->Increment(total - counter->Value());
}

void Series::drop(Id id, Instance instance) {
  const Family& family = families_[static_cast<size_t>(id)];
  switch (metric(id).kind) {
    case Kind::kGauge: std::get<0>(family)->Remove(std::get<0>(instance)); break;
    case Kind::kCounter: std::get<1>(family)->Remove(std::get<1>(instance)); break;
    case Kind::kHistogram: std::get<2>(family)->Remove(std::get<2>(instance)); break;
  }
  --count_;
}

void Series::remove(Id id, Values leading) {
  const Labels prefix = clean(leading);
  auto& known = series_[static_cast<size_t>(id)];
  for (auto at = known.begin(); at != known.end();) {
    if (std::equal(prefix.begin(), prefix.end(), at->first.begin())) {
      drop(id, at->second);
      totals_.erase({id, at->first});
      at = known.erase(at);
    } else {
      ++at;
    }
  }
}

void Series::remove_labelled(std::string_view name, std::string_view value) {
  for (const Metric& metric : kMetrics)
    if (metric.label_names[0] == name) remove(metric.id, {value});
}

std::string Series::serialise() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, registry_.Collect());
  return std::move(out).str();
}

}  // namespace mapshift::metrics
