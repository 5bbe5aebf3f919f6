// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>

#include "module.h"

namespace mapshift::test {
namespace {

using ::testing::HasSubstr;

struct Address {
  uint32_t bits;
  uint8_t bytes[4];
};
struct Route1 {
  uint32_t hop, metric;
};
struct Route2 {
  uint64_t metric;
  uint32_t hop, flags;
};

class Trie : public ModuleTest {
 protected:
  static void put1(const Fd& map, Address key, Route1 value) { ASSERT_EQ(bpf_map_update_elem(map.get(), &key, &value, BPF_ANY), 0); }
  static void put2(const Fd& map, Address key, Route2 value) { ASSERT_EQ(bpf_map_update_elem(map.get(), &key, &value, BPF_ANY), 0); }
  // Waits for the passes of the bake.
  static void expect_soon(const std::function<bool()>& holds, const char* what) { EXPECT_TRUE(eventually(holds, std::chrono::seconds(20))) << what; }
};

constexpr Address kNet{8, {10, 0, 0, 0}}, kSubnet{24, {10, 1, 2, 0}}, kOther{24, {10, 1, 3, 0}}, kLate{16, {172, 16, 0, 0}}, kDefault{0, {}};

TEST_F(Trie, IsKeptInStepBothWays) {
  load("kinds_v1");
  const Fd before = open(1, "routes");
  put1(before, kNet, {1, 10});
  put1(before, kSubnet, {2, 20});
  put1(before, kOther, {3, 30});
  put1(before, {24, {10, 1, 2, 99}}, {2, 21});  // the same prefix
  plan("kinds_v2");
  const update::MapPlan& planned = of(plan_, "routes");
  EXPECT_EQ(planned.record.policy, "sync");
  EXPECT_THAT(planned.record.reason, HasSubstr("system calls"));
  const bool followed = old_->input.facts.gave_up.empty() && next_->input.facts.gave_up.empty();
  for (const update::FieldRecord& field : planned.record.fields) EXPECT_EQ(field.exact, followed) << field.name;
  start();
  const Fd after = open(2, "routes");
  const auto moved = value_of<Route2>(after, &kSubnet);
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->hop, 2u);
  EXPECT_EQ(moved->metric, 21u);
  EXPECT_EQ(moved->flags, 7u) << "a new field gets its default";

  // User space goes on writing to either side while both are there.
  put1(before, kLate, {9, 90});
  put2(after, kDefault, {50, 5, 1});
  put2(after, kNet, {11, 1, 0});
  ASSERT_EQ(bpf_map_delete_elem(before.get(), &kOther), 0);
  expect_soon([&] { return value_of<Route2>(after, &kLate) && value_of<Route2>(after, &kLate)->metric == 90; }, "added to the old one");
  expect_soon([&] { return value_of<Route1>(before, &kNet)->metric == 11; }, "changed in the new one");
  expect_soon([&] { return value_of<Route1>(before, &kDefault) && value_of<Route1>(before, &kDefault)->hop == 5; }, "added to the new one");
  // Its prefix is gone: the longest that is left answers.
  expect_soon([&] { return value_of<Route2>(after, &kOther)->hop == 1; }, "deleted from the old one");
  end(update::Order::kCommit);
  EXPECT_EQ(record().state, update::State::kCommitted);
  EXPECT_EQ(map_record("routes").mismatched, 0u);
}

TEST_F(Trie, AnotherAgentGoesOnAndRollsBack) {
  load("kinds_v1");
  const Fd before = open(1, "routes");
  for (uint8_t n = 0; n < 200; ++n) put1(before, {24, {10, 0, n, 0}}, {n, n});
  plan("kinds_v2");
  start();
  const Fd after = open(2, "routes");
  put2(after, {24, {10, 0, 7, 0}}, {700, 7, 0});
  restart();
  ASSERT_EQ(record().state, update::State::kBaking);
  put2(after, {24, {10, 0, 8, 0}}, {800, 8, 0});
  const Address gone{24, {10, 0, 9, 0}};
  ASSERT_EQ(bpf_map_delete_elem(after.get(), &gone), 0);
  expect_soon([&] { return !value_of<Route1>(before, &gone); }, "deleted from the new one");
  end(update::Order::kRollback);
  EXPECT_EQ(record().state, update::State::kRolledBack) << record().reason;
  const Address seven{24, {10, 0, 7, 0}}, eight{24, {10, 0, 8, 0}};
  EXPECT_EQ(value_of<Route1>(before, &seven)->metric, 700u);
  EXPECT_EQ(value_of<Route1>(before, &eight)->metric, 800u);
}

}  // namespace
}  // namespace mapshift::test
