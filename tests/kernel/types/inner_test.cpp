// SPDX-License-Identifier: Apache-2.0
// Maps of maps: those that the object declares, those made at run time, those that vanish.
#include <atomic>
#include <thread>

#include "module.h"

namespace mapshift::test {
namespace {

using ::testing::HasSubstr;

struct Stat1 {
  uint32_t hits, state;
};
struct Stat2 {
  uint64_t state, hits;
};

// The event that counts in one key of the map in a slot.
uint32_t event(uint32_t slot, uint32_t key) { return 0x80000000u | slot | key << 3; }

class Inner : public ModuleTest {
 protected:
  // With the types of the map in slot 0: Linux 6.1 takes no map without type information where the declared ones hold structures with it.
  static Fd make_hash(const Fd& outer) {
    bpf_map_info info{};
    uint32_t length = sizeof info;
    EXPECT_EQ(bpf_map_get_info_by_fd(inner_in(outer, 0u).get(), &info, &length), 0);
    const Fd types(bpf_btf_get_fd_by_id(info.btf_id));
    LIBBPF_OPTS(bpf_map_create_opts, options, .btf_fd = static_cast<uint32_t>(types.get()), .btf_key_type_id = info.btf_key_type_id,
                .btf_value_type_id = info.btf_value_type_id);
    return Fd(bpf_map_create(BPF_MAP_TYPE_HASH, "run_time", 4, info.value_size, 64, &options));
  }
  static Fd make_array() { return Fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "plain", 4, 8, 4, nullptr)); }
  template <class K>
  static void put(const Fd& outer, K key, const Fd& inner) {
    const int fd = inner.get();
    ASSERT_EQ(bpf_map_update_elem(outer.get(), &key, &fd, BPF_ANY), 0);
  }
  template <class K>
  static uint32_t id_in(const Fd& outer, K key) {
    return value_of<uint32_t>(outer, &key).value_or(0);
  }
  template <class K>
  static Fd inner_in(const Fd& outer, K key) {
    const uint32_t id = id_in(outer, key);
    return Fd(id == 0 ? -1 : bpf_map_get_fd_by_id(id));
  }
  static uint64_t hits2(const Fd& outer, uint32_t slot, uint32_t key) {
    const auto stat = value_of<Stat2>(inner_in(outer, slot), &key);
    return stat ? stat->hits : 0;
  }
  static uint64_t hits1(const Fd& outer, uint32_t slot, uint32_t key) {
    const auto stat = value_of<Stat1>(inner_in(outer, slot), &key);
    return stat ? stat->hits : 0;
  }
  static void expect_soon(const std::function<bool()>& holds, const char* what) { EXPECT_TRUE(eventually(holds, std::chrono::seconds(20))) << what; }
};

TEST_F(Inner, MapsThatTheObjectDeclaresAndThatWereMadeAtRunTime) {
  load("kinds_v1");
  const Fd before = open(1, "tables");
  put(before, 5u, make_hash(before));
  for (uint32_t n = 0; n < 7; ++n)
    for (const uint32_t slot : {0u, 1u, 5u}) send_event(event(slot, n % 3));
  ASSERT_EQ(hits1(before, 5, 0), 3u);
  plan("kinds_v2");
  const update::MapPlan& planned = of(plan_, "tables");
  EXPECT_EQ(planned.record.policy, "sync");
  EXPECT_THAT(planned.record.reason, HasSubstr("made at run time"));
  ASSERT_EQ(planned.record.fields.size(), 2u);
  start();
  const Fd after = open(2, "tables");
  for (const uint32_t slot : {0u, 1u, 5u}) EXPECT_EQ(hits2(after, slot, 0), 3u) << slot;
  const Fd left = open(2, "left");
  uint32_t zero = 0;
  EXPECT_EQ(value_of<Stat2>(left, &zero)->hits, 3u) << "the declared map itself is in its slot";
  for (const uint32_t slot : {0u, 1u, 5u}) send_event(event(slot, 0));
  expect_soon([&] { return hits1(before, 0, 0) == 4 && hits1(before, 1, 0) == 4 && hits1(before, 5, 0) == 4; }, "the old side stays warm");

  // Made in either outer map while both are there, and taken out of either.
  put(before, 2u, make_hash(before));
  const Fd made_new = make_hash(after);
  const Stat2 stat{4, 40};
  ASSERT_EQ(bpf_map_update_elem(made_new.get(), &zero, &stat, BPF_ANY), 0);
  put(after, 3u, made_new);
  uint32_t one = 1;
  ASSERT_EQ(bpf_map_delete_elem(before.get(), &one), 0);
  expect_soon([&] { return id_in(after, 2u) != 0; }, "made in the old one");
  expect_soon([&] { return hits1(before, 3, 0) == 40; }, "made in the new one, with what it holds");
  expect_soon([&] { return id_in(after, 1u) == 0; }, "taken out of the old one");
  for (int n = 0; n < 5; ++n) send_event(event(2, 6));
  end(update::Order::kRollback);
  ASSERT_EQ(record().state, update::State::kRolledBack) << record().reason;
  EXPECT_EQ(hits1(before, 2, 6), 5u);
  EXPECT_EQ(hits1(before, 3, 0), 40u);
}

// A writer in place at full speed, through the swap, another agent, and back.
TEST_F(Inner, NoCountIsLostUnderLoad) {
  load("kinds_v1");
  const Fd before = open(1, "tables");
  put(before, 6u, make_hash(before));
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> sent{0};
  std::thread writer([&] {
    while (!stop.load()) {
      for (const uint32_t slot : {0u, 6u}) send_event(event(slot, 1));
      sent.fetch_add(1);
    }
  });
  plan("kinds_v2");
  start();
  const uint64_t at_swap = sent.load();
  EXPECT_TRUE(eventually([&] { return sent.load() > at_swap + 20000; }, std::chrono::seconds(20)));
  restart();
  EXPECT_EQ(record().state, update::State::kBaking) << record().reason;
  end(update::Order::kRollback);
  stop.store(true);
  writer.join();
  ASSERT_EQ(record().state, update::State::kRolledBack) << record().reason;
  EXPECT_EQ(hits1(before, 0, 1), sent.load());
  EXPECT_EQ(hits1(before, 6, 1), sent.load());
}

// Maps of one form go over as they are, and one that is gone in the midst of a pass is no error.
TEST_F(Inner, TheSameMapsArePutIntoALargerOne) {
  load("kinds_v1");
  const Fd before = open(1, "named");
  for (uint64_t name = 0; name < 5; ++name) put(before, name, make_array());
  plan("kinds_v2");
  EXPECT_THAT(of(plan_, "named").record.reason, HasSubstr("as they are"));
  EXPECT_FALSE(of(plan_, "named").sync->inner);
  start();
  const Fd after = open(2, "named");
  for (uint64_t name = 0; name < 5; ++name) EXPECT_EQ(id_in(after, name), id_in(before, name)) << name;
  // As user space does that swaps whole tables: old ones go while new ones come, all the time.
  for (uint64_t n = 0; n < 40; ++n) put(before, n % 5, make_array());
  const uint64_t gone = 4;
  ASSERT_EQ(bpf_map_delete_elem(before.get(), &gone), 0);
  expect_soon([&] { return id_in(after, gone) == 0 && id_in(after, uint64_t{3}) == id_in(before, uint64_t{3}); }, "followed");
  end(update::Order::kCommit);
  EXPECT_EQ(record().state, update::State::kCommitted);
  EXPECT_EQ(map_record("named").mismatched, 0u);
  EXPECT_NE(id_in(after, uint64_t{0}), 0u);
}

}  // namespace
}  // namespace mapshift::test
