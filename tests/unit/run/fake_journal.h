// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <vector>

#include "fake_kernel.h"
#include "update/journal.h"

namespace mapshift::update {

// What is on disk. Refuses a record that is not newer, as the store does.
class FakeJournal final : public Journal {
 public:
  FakeJournal(Steps& steps, UpdateRecord first) : record(std::move(first)), steps_(steps) {}

  UpdateRecord record;
  std::string intent;
  uint64_t promoted = 0;  // generation; 0: none
  std::vector<slo::Measurement> measurements;
  std::map<std::string, KeptMap> kept;  // by map
  std::vector<State> states;  // as they were saved

  [[nodiscard]] Status save(const UpdateRecord& next) override {
    return step("journal save " + std::string(to_string(next.state)), [&]() -> Status {
      if (next.revision <= record.revision) return fail(ErrorCode::kStale, "the revision is not newer");
      record = next;
      states.push_back(next.state);
      return {};
    });
  }
  [[nodiscard]] Status set_intent(const std::string& /*update_id*/, const std::string& next) override {
    return step("journal intent " + next, [&]() -> Status {
      intent = next;
      return {};
    });
  }
  [[nodiscard]] Status add_measurement(const std::string& /*update_id*/, const slo::Measurement& measurement) override {
    return step("journal measurement", [&]() -> Status {
      measurements.push_back(measurement);
      return {};
    });
  }
  [[nodiscard]] Status keep(const KeptMap& map) override {
    return step("journal keep " + map.map, [&]() -> Status {
      kept[map.map] = map;
      return {};
    });
  }
  [[nodiscard]] Status promote(const UpdateRecord& next) override {
    return step("journal promote", [&]() -> Status {
      promoted = next.to.generation;
      return {};
    });
  }

 private:
  template <class Act>
  [[nodiscard]] Status step(const std::string& call, Act act) {
    switch (steps_.next(call)) {
      case Steps::Verdict::kGo: return act();
      case Steps::Verdict::kGoThenFail: (void)act(); break;
      case Steps::Verdict::kGoHalfThenFail:  // a transaction has no parts
      case Steps::Verdict::kFail: break;
    }
    return injected(call);
  }

  Steps& steps_;
};

// Counts, and remembers each record that was shown.
class FakeObserver final : public Observer {
 public:
  std::vector<UpdateRecord> shown;
  int finishes = 0, swaps = 0;

  void changed(const UpdateRecord& record) override { shown.push_back(record); }
  void phase_ended(const UpdateRecord& /*record*/, const std::string& /*phase*/, double /*seconds*/) override {}
  void passed(const UpdateRecord& /*record*/, const std::string& /*map*/, const PassReport& /*report*/) override {}
  void verified(const UpdateRecord& /*record*/, const std::string& /*map*/, const VerifyReport& /*report*/) override {}
  void measured(const UpdateRecord& /*record*/, const slo::Measurement& /*measurement*/) override {}
  void swapped(const UpdateRecord& /*record*/) override { ++swaps; }
  void finished(const UpdateRecord& /*record*/, double /*seconds*/) override { ++finishes; }
};

}  // namespace mapshift::update
