// SPDX-License-Identifier: Apache-2.0
#include "store_fixture.h"

namespace mapshift::store {
namespace {

class Journal : public StoreTest {
 protected:
  Journal() { open(); }
};

TEST_F(Journal, TellsWhatWasIntendedAndWhatIsDone) {
  ASSERT_TRUE(store_->record_intent("u-000001", "load", R"({"pins":"/p"})"));
  ASSERT_TRUE(store_->done("u-000001", "load"));
  ASSERT_TRUE(store_->record_intent("u-000001", "swap count_packets"));
  ASSERT_TRUE(store_->record_intent("u-000002", "load"));
  open();
  const auto entries = store_->journal("u-000001");
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ(entries->at(0).step, "load");
  EXPECT_EQ(entries->at(0).detail, R"({"pins":"/p"})");
  EXPECT_TRUE(entries->at(0).done());
  EXPECT_FALSE(entries->at(1).done());
  EXPECT_LT(entries->at(0).sequence, entries->at(1).sequence);
  EXPECT_FALSE(entries->at(1).intended_at.empty());
}

TEST_F(Journal, DoneCompletesTheNewestOpenIntentOfThatStep) {
  ASSERT_TRUE(store_->record_intent("u", "swap"));
  ASSERT_TRUE(store_->done("u", "swap"));
  ASSERT_TRUE(store_->record_intent("u", "swap"));
  EXPECT_FALSE(store_->journal("u")->at(1).done());
  ASSERT_TRUE(store_->done("u", "swap"));
  EXPECT_EQ(store_->done("u", "swap").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store_->done("u", "never").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store_->done("v", "swap").error().code, ErrorCode::kNotFound);
}

TEST_F(Journal, OpenSubjectsAreListedAndCanBeForgotten) {
  ASSERT_TRUE(store_->record_intent("module:b", "load"));
  ASSERT_TRUE(store_->record_intent("module:a", "load"));
  ASSERT_TRUE(store_->record_intent("module:c", "load"));
  ASSERT_TRUE(store_->done("module:c", "load"));
  EXPECT_EQ(*store_->open_subjects(), (std::vector<std::string>{"module:b", "module:a"}));
  ASSERT_TRUE(store_->clear_journal("module:b"));
  EXPECT_EQ(*store_->open_subjects(), (std::vector<std::string>{"module:a"}));
}

}  // namespace
}  // namespace mapshift::store
