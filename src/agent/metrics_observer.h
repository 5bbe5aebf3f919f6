// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "metrics/metrics.h"
#include "update/journal.h"

namespace mapshift::agent {

// What happens in an update, as metrics. Thread-safe, as Metrics is.
class MetricsObserver final : public update::Observer {
 public:
  explicit MetricsObserver(metrics::Metrics& metrics) : metrics_(metrics) {}
  void changed(const update::UpdateRecord& record) override;
  void phase_ended(const update::UpdateRecord& record, const std::string& phase, double seconds) override;
  void passed(const update::UpdateRecord& record, const std::string& map, const PassReport& report) override;
  void verified(const update::UpdateRecord& record, const std::string& map, const VerifyReport& report) override;
  void measured(const update::UpdateRecord& record, const slo::Measurement& measurement) override;
  void swapped(const update::UpdateRecord& record) override;
  void finished(const update::UpdateRecord& record, double seconds) override;

 private:
  metrics::Metrics& metrics_;
};

}  // namespace mapshift::agent
