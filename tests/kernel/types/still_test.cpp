// SPDX-License-Identifier: Apache-2.0
// Kinds of maps that are the same kernel object in both generations, or refused with the reason.
#include "module.h"
#include "update/map_ability.h"

namespace mapshift::test {
namespace {

using ::testing::HasSubstr;

class Still : public ModuleTest {};

uint32_t id_of(const Fd& map) {
  bpf_map_info info{};
  uint32_t length = sizeof info;
  return bpf_map_get_info_by_fd(map.get(), &info, &length) == 0 ? info.id : 0;
}

TEST_F(Still, EachIsReusedAsItIs) {
  load("still");
  send_event(1);  // puts 7 into the bloom filter
  plan("still");
  for (const update::MapPlan& map : plan_.maps) {
    if (map.name == "rodata") continue;
    EXPECT_EQ(map.record.policy, map.name == "jumps" ? "reset" : "reuse") << map.name << ": " << map.record.reason;
  }
  start();
  for (const update::MapPlan& map : plan_.maps) {
    if (map.name == "rodata" || map.name == "jumps") continue;
    EXPECT_NE(id_of(open(1, map.name)), 0u) << map.name;
    EXPECT_EQ(id_of(open(1, map.name)), id_of(open(2, map.name))) << map.name;
  }
  EXPECT_NE(id_of(open(1, "jumps")), id_of(open(2, "jumps"))) << "rebuilt";
  end(update::Order::kCommit);
  ASSERT_EQ(record().state, update::State::kCommitted) << record().reason;
  uint32_t number = 7;
  EXPECT_EQ(bpf_map_lookup_elem(open(2, "seen").get(), nullptr, &number), 0) << "what was put in is still there";
}

TEST_F(Still, EachIsRefusedWithItsReasonWhenItDiffers) {
  load("still");
  for (const MapSpec& map : old_->input.object.maps) {
    if (map.section != DataSection::kNone || map.name == "jumps" || map.max_entries == 0) continue;
    const update::MapPlan planned = of(plan("still", [&](update::Manifest& next) { next.maps[map.name].max_entries = 2 * map.max_entries; }), map.name);
    if (map.name == "perf") {
      EXPECT_EQ(planned.record.policy, "reset");
      EXPECT_TRUE(plan_.lossy);
      continue;
    }
    ASSERT_EQ(plan_.refusals.size(), 1u) << map.name;
    EXPECT_THAT(plan_.refusals[0].message, HasSubstr(std::string(update::map_kind(map.type).otherwise))) << map.name;
    plan("still", [&](update::Manifest& next) {
      next.maps[map.name].max_entries = 2 * map.max_entries;
      next.maps[map.name].policy = update::Policy::kReset;
    });
    EXPECT_TRUE(plan_.refusals.empty() && plan_.lossy) << map.name;
  }
}

TEST_F(Still, ABloomFilterStartsAnewWhereTheManifestSaysSo) {
  load("still");
  send_event(1);
  plan("still", [](update::Manifest& next) {
    next.maps["seen"].max_entries = 128;
    next.maps["seen"].policy = update::Policy::kReset;
  });
  start();
  uint32_t number = 7;
  EXPECT_NE(bpf_map_lookup_elem(open(2, "seen").get(), nullptr, &number), 0);
  end(update::Order::kRollback);
  EXPECT_EQ(bpf_map_lookup_elem(open(1, "seen").get(), nullptr, &number), 0);
}

// A ring that grows: the old one keeps what was written until the swap for who reads it.
TEST_F(Still, ARingThatDiffersIsMadeAnew) {
  load("kinds_v1");
  send_event(0x7fffffff);
  plan("kinds_v2");
  EXPECT_EQ(of(plan_, "events").record.policy, "reset");
  EXPECT_FALSE(of(plan_, "events").record.lossy);
  start();
  EXPECT_NE(id_of(open(1, "events")), id_of(open(2, "events")));
  end(update::Order::kCommit);
  EXPECT_EQ(record().state, update::State::kCommitted);
}

// Entries are counted where that can be done, and where not the reason is said.
TEST_F(Still, EntriesAreCountedByKind) {
  load("kinds_v1");
  const auto count = [&](const std::string& map) { return kernel_->count_entries(pin(1, map)); };
  const uint8_t key[8] = {24, 0, 0, 0, 10, 1, 2, 0};
  const uint64_t route = 0;
  ASSERT_EQ(bpf_map_update_elem(open(1, "routes").get(), key, &route, BPF_ANY), 0);
  EXPECT_EQ(count("routes"), 1u);
  EXPECT_EQ(count("tables"), 2u) << "slots that hold a map";
  EXPECT_EQ(count("named"), 0u);
  for (const char* map : {"numbers", "undo", "events"}) {
    const auto none = count(map);
    ASSERT_FALSE(none) << map;
    EXPECT_EQ(none.error().code, ErrorCode::kUnsupported) << map;
    EXPECT_THAT(none.error().message, HasSubstr("cannot be counted")) << map;
  }
}

}  // namespace
}  // namespace mapshift::test
