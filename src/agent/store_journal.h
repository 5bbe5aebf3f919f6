// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>

#include "store/store.h"
#include "update/journal.h"

namespace mapshift::agent {

// The journal of one update, kept in the store. `next`: the module's row once the update is committed.
class StoreJournal final : public update::Journal {
 public:
  struct Hooks {
    std::function<void()> intends;                           // before each step: what a generation counted can still be read
    std::function<void(const store::ModuleRow&)> promoted;  // the row is stored; nobody can see yet that the update is committed
  };
  StoreJournal(store::Store& store, store::ModuleRow next, Hooks hooks)
      : store_(store), next_(std::move(next)), hooks_(std::move(hooks)) {}
  [[nodiscard]] Status save(const update::UpdateRecord& record) override { return store_.save_update(record); }
  [[nodiscard]] Status set_intent(const std::string& update_id, const std::string& intent) override {
    hooks_.intends();
    return store_.set_intent(update_id, intent);
  }
  [[nodiscard]] Status add_measurement(const std::string& update_id, const slo::Measurement& measurement) override {
    return store_.add_measurements(update_id, {measurement});
  }
  [[nodiscard]] Status add_measurements(const std::string& update_id, const std::vector<slo::Measurement>& measurements) override {
    return store_.add_measurements(update_id, measurements);
  }
  [[nodiscard]] Status keep(const update::KeptMap& map) override { return store_.keep_map(map); }
  [[nodiscard]] Status promote(const update::UpdateRecord& /*record*/) override {
    MS_CHECK(store_.put_module(next_));
    hooks_.promoted(next_);
    return {};
  }

 private:
  store::Store& store_;
  const store::ModuleRow next_;
  const Hooks hooks_;
};

}  // namespace mapshift::agent
