// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/kernel.h"
#include "update/kept_map.h"
#include "update/record.h"

namespace mapshift::update {

// What must survive the agent's death. Every call that returns without an error is on disk. Thread-safe.
class Journal {
 public:
  virtual ~Journal() = default;
  [[nodiscard]] virtual Status save(const UpdateRecord& record) = 0;
  // The furthest point that was intended, written before it is acted upon: see Intent.
  [[nodiscard]] virtual Status set_intent(const std::string& update_id, const std::string& intent) = 0;
  [[nodiscard]] virtual Status add_measurement(const std::string& update_id, const slo::Measurement& measurement) = 0;
  // All or, where it fails, any part of them, in their order.
  [[nodiscard]] virtual Status add_measurements(const std::string& update_id, const std::vector<slo::Measurement>& measurements) {
    for (const slo::Measurement& measurement : measurements) MS_CHECK(add_measurement(update_id, measurement));
    return {};
  }
  // The old map stays for who holds it. Again for the same map: this one counts.
  [[nodiscard]] virtual Status keep(const KeptMap& map) = 0;
  // The new generation is the module's only one from here on. One transaction with the record.
  [[nodiscard]] virtual Status promote(const UpdateRecord& record) = 0;
};

// Told of what happens, for metrics and waiting readers. Called from the update's thread; must not block.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void changed(const UpdateRecord& record) = 0;
  virtual void phase_ended(const UpdateRecord& record, const std::string& phase, double seconds) = 0;
  virtual void passed(const UpdateRecord& record, const std::string& map, const PassReport& report) = 0;
  virtual void verified(const UpdateRecord& record, const std::string& map, const VerifyReport& report) = 0;
  virtual void measured(const UpdateRecord& record, const slo::Measurement& measurement) = 0;
  virtual void swapped(const UpdateRecord& record) = 0;
  virtual void finished(const UpdateRecord& record, double seconds) = 0;
};

}  // namespace mapshift::update
