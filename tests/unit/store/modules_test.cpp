// SPDX-License-Identifier: Apache-2.0
#include "store_fixture.h"

namespace mapshift::store {
namespace {

class Modules : public StoreTest {
 protected:
  Modules() { open(); }
};

TEST_F(Modules, ComeBackAfterReopening) {
  const ModuleRow row{"flowmeter", 1, "1.0.0", kDigestOfHello, R"({"a":"b'\"c"})", "/state/objects/x.bpf.o", "active"};
  ASSERT_TRUE(store_->put_module(row));
  open();
  const auto found = store_->module("flowmeter");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->manifest, row.manifest);
  EXPECT_EQ(found->generation, 1u);
  EXPECT_EQ(found->state, "active");
  EXPECT_EQ(store_->modules()->size(), 1u);
  EXPECT_EQ(store_->module("other").error().code, ErrorCode::kNotFound);
}

TEST_F(Modules, PutMovesTheModuleToItsNextGeneration) {
  ASSERT_TRUE(store_->put_module({"m", 1, "1", "d1", "{}", "/o1", "active"}));
  const auto first = store_->generations("m")->at(0).created_at;
  EXPECT_FALSE(first.empty());
  ASSERT_TRUE(store_->put_generation({"m", 2, "2", "d2", "{}", "/o2"}));
  EXPECT_EQ(store_->module("m")->generation, 1u);
  ASSERT_TRUE(store_->put_module({"m", 2, "2", "d2", "{}", "/o2", "active"}));
  EXPECT_EQ(store_->module("m")->generation, 2u);
  EXPECT_EQ(store_->modules()->size(), 1u);
  EXPECT_EQ(store_->generations("m")->size(), 2u);
  ASSERT_TRUE(store_->remove_generation("m", 1));
  EXPECT_EQ(store_->remove_generation("m", 1).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store_->generations("m")->at(0).object_path, "/o2");
}

TEST_F(Modules, RemovingTakesTheGenerationsAndLeavesTheHistory) {
  ASSERT_TRUE(store_->put_module({"m", 1, "1", "d1", "{}", "/o1", "active"}));
  finish(create("m"));
  ASSERT_TRUE(store_->remove_module("m"));
  EXPECT_TRUE(store_->generations("m")->empty());
  EXPECT_EQ(store_->updates("m")->size(), 1u);
  EXPECT_EQ(store_->remove_module("m").error().code, ErrorCode::kNotFound);
}

TEST_F(Modules, NamesAreDataAndNeverStatements) {
  const std::string name = "m'; DROP TABLE modules; --";
  ASSERT_TRUE(store_->put_module({name, 1, "1", "d", "{}", "/o", "active"}));
  EXPECT_EQ(store_->module(name)->name, name);
}

}  // namespace
}  // namespace mapshift::store
