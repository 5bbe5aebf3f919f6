// SPDX-License-Identifier: Apache-2.0
#include "store/kept_map_json.h"
#include "store_fixture.h"

namespace mapshift::store {
namespace {

update::KeptMap sample(const std::string& module, const std::string& map) {
  update::KeptMap out{module, map, 7, "2026-01-01T00:00:00.000Z", {}};
  SyncSpec& spec = out.sync;
  spec.type0 = MapType::kLruHash;
  spec.key_size = 4;
  spec.key_size1 = 8;
  spec.value_size0 = 16;
  spec.value_size1 = 24;
  spec.max_entries0 = 10;
  spec.max_entries1 = 20;
  spec.keep_delta = true;
  spec.lock1 = 8;
  spec.fields = {{SyncOp::kSum, 4, 8, true, false, 12, 16, 3, false, -1}, {SyncOp::kFirst, 1, 1, false, false, 0, 0, 0, true, 0}};
  spec.key_fields = {{SyncOp::kLatest, 4, 8, false, false, 0, 0, 0, false, -1}};
  spec.defaults1 = {{8, 8, UINT64_MAX}};
  spec.remaps = {{{{-1, 5}, {INT64_MIN, INT64_MAX}}}};
  spec.fields[0].in_union = 1;
  spec.fields[0].arm = 2;
  spec.fields[0].zero = true;
  spec.unions = {{4, 8, 2, 4, {{UINT64_MAX, 7, 2}, {1, 1, 1}}}};
  spec.transform = SyncTransform{"/o", "up", ""};
  return out;
}

class KeptMaps : public StoreTest {};

TEST_F(KeptMaps, OutliveTheAgentToTheLastField) {
  open();
  ASSERT_TRUE(store_->keep_map(sample("m", "flows")));
  ASSERT_TRUE(store_->keep_map(sample("m", "flows")));  // again: once
  ASSERT_TRUE(store_->keep_map(sample("n", "rules")));
  ASSERT_TRUE(store_->record_intent("other", "load"));
  open();
  const auto kept = store_->kept_maps();
  ASSERT_TRUE(kept) << kept.error().message;
  ASSERT_EQ(kept->size(), 2u);
  const update::KeptMap expected = sample("m", "flows");
  EXPECT_EQ(to_text(kept->front()), to_text(expected));
  EXPECT_EQ(kept->front().sync, expected.sync);
  ASSERT_TRUE(store_->drop_kept_map("m", "flows"));
  ASSERT_TRUE(store_->drop_kept_map("m", "flows"));
  EXPECT_EQ(store_->kept_maps()->size(), 1u);
}

TEST(KeptMapText, RefusesWhatItDidNotWrite) {
  const std::string good = to_text(sample("m", "flows"));
  ASSERT_TRUE(kept_map_from(good));
  for (const char* bad : {"", "{}", "[]", "null", R"({"module": 1})"}) EXPECT_EQ(kept_map_from(bad).error().code, ErrorCode::kInvalid) << bad;
  for (size_t at = 0; at < good.size(); ++at) {
    EXPECT_FALSE(kept_map_from(good.substr(0, at)));
    std::string changed = good;
    changed[at] = '9';
    (void)kept_map_from(changed);  // whatever it says: no crash
  }
}

}  // namespace
}  // namespace mapshift::store
