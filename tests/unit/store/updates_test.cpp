// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "store_fixture.h"

namespace mapshift::store {
namespace {

class Updates : public StoreTest {
 protected:
  Updates() { open(); }
};

TEST_F(Updates, IdsCountUpAndAreNeverUsedTwice) {
  EXPECT_EQ(create("a"), "u-000001");
  EXPECT_EQ(create("b"), "u-000002");
  finish("u-000002");
  open({.updates_per_module = 0});
  EXPECT_EQ(create("b"), "u-000003");  // and u-000002 is forgotten
  EXPECT_EQ(store_->update("u-000002").error().code, ErrorCode::kNotFound);
  finish("u-000003");
  open({.updates_per_module = 0});
  EXPECT_EQ(create("b"), "u-000004");
}

TEST_F(Updates, ComeBackAsTheyWereSaved) {
  const std::string id = create("m", "key-1");
  auto stored = store_->update(id);
  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_EQ(stored->record.id, id);
  EXPECT_EQ(stored->manifest, R"({"name":"new"})");
  EXPECT_EQ(stored->old_manifest, R"({"name":"old"})");
  update::UpdateRecord& record = stored->record;
  record.state = update::State::kBaking;
  record.reason = "weil's so ist";
  record.revision = 7;
  record.phases = {{"planning", 0.01}, {"loading", 0.2}, {"baking", 3}};
  ASSERT_TRUE(store_->save_update(record));
  open();
  const auto again = store_->update(id);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->record.state, update::State::kBaking);
  EXPECT_EQ(again->record.reason, record.reason);
  EXPECT_EQ(again->record.revision, 7u);
  ASSERT_EQ(again->record.phases.size(), 3u);
  EXPECT_EQ(again->record.phases[1].phase, "loading");
  EXPECT_EQ(again->record.phases[1].seconds, 0.2);
}

TEST_F(Updates, BytesThatAreNotUtf8DoNotBreakTheRecord) {
  NewUpdate update = new_update("m");
  update.record.reason = "bad \xff\xfe bytes";
  const auto id = store_->create_update(update);
  ASSERT_TRUE(id);
  EXPECT_TRUE(store_->update(*id));
}

TEST_F(Updates, TheRevisionMustGrow) {
  const std::string id = create("m");
  auto record = store_->update(id)->record;
  record.revision = 5;
  ASSERT_TRUE(store_->save_update(record));
  record.reason = "late";
  EXPECT_EQ(store_->save_update(record).error().code, ErrorCode::kStale);
  record.revision = 4;
  EXPECT_EQ(store_->save_update(record).error().code, ErrorCode::kStale);
  EXPECT_EQ(store_->update(id)->record.reason, "");
  record.id = "u-999999";
  EXPECT_EQ(store_->save_update(record).error().code, ErrorCode::kNotFound);
}

TEST_F(Updates, OneRunsAtATimeForAModule) {
  const std::string first = create("m");
  const auto second = store_->create_update(new_update("m"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kConflict);
  EXPECT_NE(second.error().message.find(first), std::string::npos);
  finish(first, update::State::kStuck);
  EXPECT_EQ(create("m"), "u-000002");  // the refused one took no number
}

TEST_F(Updates, RunningOnesAreFoundWithAllThatRecoveryNeeds) {
  finish(create("a"));
  const std::string b = create("b");
  const std::string c = create("c");
  ASSERT_TRUE(store_->set_intent(c, "rollback"));
  open();
  const auto running = store_->running_updates();
  ASSERT_TRUE(running);
  ASSERT_EQ(running->size(), 2u);
  EXPECT_EQ(running->at(0).record.id, b);
  EXPECT_EQ(running->at(1).intent, "rollback");
  EXPECT_EQ(running->at(1).old_manifest, R"({"name":"old"})");
  EXPECT_EQ(store_->set_intent("u-999999", "x").error().code, ErrorCode::kNotFound);
}

TEST_F(Updates, ListsAreNewestFirstAndBounded) {
  for (const char* module : {"a", "b", "a", "a"}) finish(create(module));
  const auto all = store_->updates("");
  ASSERT_EQ(all->size(), 4u);
  EXPECT_EQ(all->front().id, "u-000004");
  EXPECT_EQ(store_->updates("a")->size(), 3u);
  EXPECT_EQ(store_->updates("a", 2)->back().id, "u-000003");
  EXPECT_TRUE(store_->updates("nobody")->empty());
}

TEST_F(Updates, AnIdempotencyKeyNamesOneUpdate) {
  EXPECT_FALSE(store_->find_by_idempotency_key("k")->has_value());
  const std::string id = create("m", "k");
  EXPECT_EQ((*store_->find_by_idempotency_key("k"))->record.id, id);
  finish(id);
  const auto again = store_->create_update(new_update("m", "k"));
  EXPECT_EQ(again.error().code, ErrorCode::kConflict);
  finish(create("m"));
  EXPECT_FALSE(store_->find_by_idempotency_key("")->has_value());
}

TEST_F(Updates, HistoryIsBoundedForEachModule) {
  open({.updates_per_module = 3});
  finish(create("other"));
  for (int i = 0; i < 6; i++) {
    const std::string id = create("m");
    ASSERT_TRUE(store_->record_intent(id, "load"));
    finish(id);
  }
  EXPECT_EQ(store_->updates("m")->size(), 4u);  // three finished when the last was created
  EXPECT_EQ(store_->updates("other")->size(), 1u);
  EXPECT_TRUE(store_->journal("u-000002")->empty());
  EXPECT_FALSE(store_->journal("u-000007")->empty());
}

TEST_F(Updates, MeasurementsKeepTheirValues) {
  const std::string id = create("m");
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<slo::Measurement> written{
      {"drop-ratio", "2026-01-01T00:00:00.000Z", 0.0, 0.01, slo::Outcome::kPass, ""},
      {"drop-ratio", "2026-01-01T00:00:01.000Z", 0.5, 0.01, slo::Outcome::kFail, "0.5 is above the limit"},
      {"errors", "2026-01-01T00:00:01.000Z", {}, {}, slo::Outcome::kError, "unreadable"},
      {"errors", "2026-01-01T00:00:02.000Z", infinity, 1.0, slo::Outcome::kInconclusive, ""}};
  for (const auto& measurement : written) ASSERT_TRUE(store_->add_measurement(id, measurement));
  finish(id);  // saving the record leaves them alone
  open();
  const auto read = store_->update(id)->record.measurements;
  ASSERT_EQ(read.size(), written.size());
  for (size_t i = 0; i < read.size(); i++) {
    EXPECT_EQ(read[i].objective, written[i].objective);
    EXPECT_EQ(read[i].at, written[i].at);
    EXPECT_EQ(read[i].value, written[i].value);
    EXPECT_EQ(read[i].limit, written[i].limit);
    EXPECT_EQ(read[i].outcome, written[i].outcome);
    EXPECT_EQ(read[i].message, written[i].message);
  }
  EXPECT_EQ(store_->add_measurement("u-999999", written[0]).error().code, ErrorCode::kNotFound);
}

TEST_F(Updates, OnlyTheNewestMeasurementsStay) {
  open({.measurements_per_update = 3});
  const std::string a = create("a"), b = create("b");
  for (int i = 0; i < 5; i++) {
    ASSERT_TRUE(store_->add_measurement(a, {"o", "", i * 1.0}));
    ASSERT_TRUE(store_->add_measurement(b, {"o", "", i * 10.0}));
  }
  const auto left = store_->update(a)->record.measurements;
  ASSERT_EQ(left.size(), 3u);
  EXPECT_EQ(left.front().value, 2.0);
  EXPECT_EQ(store_->update(b)->record.measurements.back().value, 40.0);
}

}  // namespace
}  // namespace mapshift::store
