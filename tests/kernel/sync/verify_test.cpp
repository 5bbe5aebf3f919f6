// SPDX-License-Identifier: Apache-2.0
// What is called a mismatch, and what is only on its way.
#include <atomic>
#include <thread>

#include "lab.h"
#include "mapshift/sync.h"

namespace mapshift::test {
namespace {

constexpr SyncPhase kPre = SyncPhase::kPrecopy, kNew = SyncPhase::kLiveNew;

class Verify : public SyncTest {
 protected:
  // As an update looks: again, after a pass each time, while something seems to differ.
  static uint64_t mismatched(Lab& lab) {
    uint64_t count = lab.sync().verify()->mismatched;
    for (int n = 0; n < 2 && count != 0; ++n) {
      lab.pass(kNew);
      count = lab.sync().verify_again()->mismatched;
    }
    return count;
  }
};

// Base is made to say of the new side what it holds, as if that had been carried over.
void hide_change(const Lab& lab, uint32_t key, uint64_t packets) {
  const Fd base(bpf_obj_get((lab.dir() + "/base").c_str()));
  std::vector<std::byte> entry(base_value_size(example_spec(MapType::kHash, 64, 64), 1));
  ASSERT_EQ(bpf_map_lookup_elem(base.get(), &key, entry.data()), 0);
  NewValue value = *lab.get1<NewValue>(key);
  value.packets = packets;
  std::memcpy(entry.data() + sizeof(ms_base) + 8 + sizeof(OldValue), &value, sizeof value);
  ASSERT_EQ(bpf_map_update_elem(base.get(), &key, entry.data(), BPF_EXIST), 0);
  ASSERT_EQ(bpf_map_update_elem(lab.fd1(), &key, &value, BPF_EXIST), 0);
}

TEST_F(Verify, WhatDiffersThoughNothingWaitsDoesSoAtEveryLook) {
  Lab lab(bpffs_, example_spec(MapType::kHash, 64, 64));
  for (uint32_t key = 0; key < 20; ++key) lab.put0(key, OldValue{100, 1, 2, 3});
  ASSERT_GT(lab.settle(kPre), 0);
  ASSERT_GT(lab.settle(kNew), 0);
  EXPECT_EQ(mismatched(lab), 0u);
  for (const uint32_t key : {3, 5}) hide_change(lab, key, 777);
  EXPECT_EQ(lab.sync().verify()->mismatched, 2u);
  EXPECT_EQ(mismatched(lab), 2u);
  lab.put0(3, OldValue{777, 1, 2, 3});  // one of them is mended
  lab.put1(3, NewValue{2, 0, 1, 777, 3});
  EXPECT_EQ(lab.sync().verify_again()->mismatched, 1u);
  EXPECT_EQ(lab.sync().verify_again()->mismatched, 1u);
}

TEST_F(Verify, KeysWithoutRoomDiffer) {
  Lab lab(bpffs_, example_spec(MapType::kHash, 64, 16));
  for (uint32_t key = 0; key < 20; ++key) lab.put0(key, OldValue{100, 1, 2, 3});
  EXPECT_EQ(lab.pass(kPre).full1, 4u);
  EXPECT_EQ(lab.sync().verify()->mismatched, 4u);
  lab.pass(kPre);
  EXPECT_EQ(lab.sync().verify_again()->mismatched, 4u);
}

TEST_F(Verify, WhatIsOnItsWayIsNone) {
  for (const MapType type : {MapType::kHash, MapType::kLruHash, MapType::kPercpuHash}) {
    Lab lab(bpffs_, example_spec(type, 256, 256));
    const std::vector<OldValue> old(cpu_count(), OldValue{100, 1, 2, 3});
    const std::vector<NewValue> now(cpu_count(), NewValue{2, 0, 1, 105, 3});
    for (uint32_t key = 0; key < 20; ++key) lab.put_cpus0(key, old);
    ASSERT_GT(lab.settle(kPre), 0);
    ASSERT_GT(lab.settle(kNew), 0);
    lab.erase1(1);               // deletions on each side,
    lab.erase0(2);
    lab.put_cpus1(3, now);       // a change,
    lab.put_cpus1(100, now);     // new keys,
    lab.put_cpus0(101, old);
    lab.erase0(4);               // and one that goes from both
    lab.erase1(4);
    for (int n = 0; n < 4; ++n) {
      EXPECT_EQ(lab.sync().verify()->mismatched, 0u) << to_string(type) << " after " << n << " passes";
      lab.pass(kNew);
    }
  }
}

TEST_F(Verify, KeysThatComeAndGoAllTheTimeAreNone) {
  constexpr uint32_t kKeys = 4096;
  Lab lab(bpffs_, example_spec(MapType::kHash, 2 * kKeys, 2 * kKeys));
  for (uint32_t key = 0; key < kKeys; ++key) lab.put0(key, OldValue{100, 1, 2, 3});
  ASSERT_GT(lab.settle(kPre), 0);
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> gone = 0;
  std::thread churn([&] {
    for (uint32_t n = 0; !stop; ++n) {
      const uint32_t key = n * 2654435761u % kKeys, next = (n + kKeys / 2) * 2654435761u % kKeys;
      lab.put1(key, NewValue{n % 5, 0, n, n, n});
      lab.erase1(next);
      ++gone;
    }
  });
  for (uint32_t round = 0; round < 5; ++round) {
    const uint64_t from = gone;
    lab.pass(kNew);
    while (gone < from + kKeys) std::this_thread::yield();
    EXPECT_EQ(mismatched(lab), 0u) << round;
  }
  stop = true;
  churn.join();
}

}  // namespace
}  // namespace mapshift::test
