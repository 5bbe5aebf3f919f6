// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "store_fixture.h"

namespace mapshift::store {
namespace {

using alerts::Delivery;
using alerts::Disposition;
using update::State;

class Deliveries : public StoreTest {
 protected:
  static Delivery delivery(const std::string& fingerprint, const std::string& update_id, Disposition disposition) {
    return {{fingerprint, "2026-01-01T00:00:00Z", "firing"}, "Errors", "m", update_id, disposition, "why"};
  }
  void put(const std::vector<Delivery>& deliveries) {
    const Status done = store_->put_deliveries(deliveries);
    ASSERT_TRUE(done) << done.error().message;
  }
  // An update that ended so.
  std::string ended(State state, const std::string& trigger) {
    const std::string id = create("m");
    auto stored = store_->update(id);
    stored->record.trigger = trigger;
    stored->record.state = state;
    ++stored->record.revision;
    EXPECT_TRUE(store_->save_update(stored->record));
    return id;
  }
  bool quarantined() { return store_->quarantine("m", kDigestOfHello)->has_value(); }
};

TEST_F(Deliveries, WhatWasAcceptedSurvivesAndIsOrderedOnce) {
  open();
  const std::string id = create("m");
  put({delivery("a", id, Disposition::kAccepted), delivery("b", id, Disposition::kStale)});
  put({delivery("a", id, Disposition::kDuplicate), delivery("c", id, Disposition::kAccepted)});
  open();  // a crash
  EXPECT_EQ(store_->accepted_before({{"b", "2026-01-01T00:00:00Z", "firing"}, {"a", "2026-01-01T00:00:00Z", "firing"},
                                     {"a", "2026-01-01T00:00:01Z", "firing"}, {"a", "2026-01-01T00:00:00Z", "resolved"}}),
            (std::vector<bool>{false, true, false, false}));
  const auto open_actions = store_->open_actions();
  ASSERT_EQ(open_actions->size(), 1u);
  EXPECT_EQ(open_actions->front().update_id, id);
  ASSERT_TRUE(store_->finish_action(id, "ordered"));
  EXPECT_TRUE(store_->open_actions()->empty());
  EXPECT_TRUE(*store_->has_action(id));
  put({delivery("d", id, Disposition::kAccepted)});
  EXPECT_TRUE(store_->open_actions()->empty()) << "an update is rolled back once";
  const auto alerts = store_->alerts_of(id);
  ASSERT_EQ(alerts->size(), 4u);
  EXPECT_EQ(alerts->front().disposition, "accepted");
  EXPECT_EQ(alerts->front().times, 2u);
}

TEST_F(Deliveries, WhatWasNotAcceptedMayBeLater) {
  open();
  const std::string id = create("m");
  put({delivery("a", "", Disposition::kNotBaking)});
  put({delivery("a", id, Disposition::kAccepted)});
  EXPECT_EQ(store_->alerts_of(id)->front().disposition, "accepted");
}

TEST_F(Deliveries, AnActionOnAnUnknownUpdateStoresNothing) {
  open();
  EXPECT_FALSE(store_->put_deliveries({delivery("a", "", Disposition::kStale), delivery("b", "u-999999", Disposition::kAccepted)}));
  EXPECT_EQ(store_->accepted_before({{"b", "2026-01-01T00:00:00Z", "firing"}}), std::vector<bool>{false});
}

TEST_F(Deliveries, AnAutomaticRollbackQuarantinesUntilTheObjectWasCommitted) {
  open();
  EXPECT_FALSE(quarantined());
  ended(State::kRolledBack, "operator");
  EXPECT_FALSE(quarantined());
  const std::string bad = ended(State::kRolledBack, "objective");
  EXPECT_TRUE(quarantined());
  EXPECT_EQ((*store_->quarantine("m", kDigestOfHello))->id, bad);
  EXPECT_FALSE(store_->quarantine("other", kDigestOfHello)->has_value());
  EXPECT_FALSE(store_->quarantine("m", "another digest")->has_value());
  ended(State::kFailed, "");
  EXPECT_TRUE(quarantined());
  ended(State::kCommitted, "");
  EXPECT_FALSE(quarantined());
  ended(State::kRolledBack, "alert");
  EXPECT_TRUE(quarantined());
}

TEST_F(Deliveries, AutomaticRollbacksAreCounted) {
  open();
  for (const char* trigger : {"objective", "operator", "alert", "recovery", "stall"}) ended(State::kRolledBack, trigger);
  EXPECT_EQ(*store_->automatic_rollbacks_since("2000-01-01T00:00:00.000Z"), 3u);
  EXPECT_EQ(*store_->automatic_rollbacks_since("2999-01-01T00:00:00.000Z"), 0u);
  EXPECT_FALSE(store_->last_automatic_rollback("m")->empty());
  EXPECT_TRUE(store_->last_automatic_rollback("other")->empty());
}

TEST_F(Deliveries, ADatabaseOfBeforeThereWereAlertsIsBroughtUpToDate) {
  open();
  const std::string id = create("m");
  store_.reset();
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(db().c_str(), &raw), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(raw, "DROP TABLE deliveries; DROP TABLE actions; DROP TABLE alert_paths; PRAGMA user_version=1", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(raw);
  open();
  EXPECT_EQ(store_->update(id)->record.id, id);
  put({delivery("a", id, Disposition::kAccepted)});
}

TEST_F(Deliveries, ThePathIsKeptWithItsUpdate) {
  open();
  const std::string id = create("m");
  EXPECT_EQ(*store_->alert_path(id), "");
  ASSERT_TRUE(store_->put_alert_path(id, "proven"));
  ASSERT_TRUE(store_->put_alert_path(id, "blind"));
  EXPECT_EQ(*store_->alert_path(id), "blind");
}

TEST_F(Deliveries, AThousandAtOnceAreStoredFast) {
  open();
  const std::string id = create("m");
  std::vector<Delivery> many;
  for (int i = 0; i < 1000; ++i) many.push_back(delivery(std::to_string(i), id, Disposition::kDuplicate));
  const Nanos begun = monotonic_now();
  put(many);
  EXPECT_LT(monotonic_now() - begun, std::chrono::seconds(1));
  EXPECT_EQ(store_->alerts_of(id)->size(), 100u);
}

}  // namespace
}  // namespace mapshift::store
