// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>

#include "store/store.h"
#include "update/journal.h"

namespace mapshift::agent {

// The journal of one update, kept in the store. `next`: the module's row once the update is committed; `promoted` is called
// when that is stored, before anybody can see that the update is committed.
class StoreJournal final : public update::Journal {
 public:
  StoreJournal(store::Store& store, store::ModuleRow next, std::function<void(const store::ModuleRow&)> promoted)
      : store_(store), next_(std::move(next)), promoted_(std::move(promoted)) {}
  [[nodiscard]] Status save(const update::UpdateRecord& record) override { return store_.save_update(record); }
  [[nodiscard]] Status set_intent(const std::string& update_id, const std::string& intent) override {
    return store_.set_intent(update_id, intent);
  }
  [[nodiscard]] Status add_measurement(const std::string& update_id, const slo::Measurement& measurement) override {
    return store_.add_measurement(update_id, measurement);
  }
  [[nodiscard]] Status promote(const update::UpdateRecord& /*record*/) override {
    MS_CHECK(store_.put_module(next_));
    promoted_(next_);
    return {};
  }

 private:
  store::Store& store_;
  const store::ModuleRow next_;
  const std::function<void(const store::ModuleRow&)> promoted_;
};

}  // namespace mapshift::agent
