// SPDX-License-Identifier: Apache-2.0
// What says that nothing waits to be moved from the passive to the active side, while user space drains the active one.
#include <atomic>
#include <thread>

#include "lab.h"

namespace mapshift::test {
namespace {

constexpr SyncPhase kPre = SyncPhase::kPrecopy, kNew = SyncPhase::kLiveNew, kOld = SyncPhase::kLiveOld;
constexpr uint32_t kKeys = 256;

class Settled : public SyncTest, public testing::WithParamInterface<MapType> {
 protected:
  static SyncSpec draining() {
    SyncSpec spec = example_spec(GetParam(), 4 * kKeys, 4 * kKeys);
    spec.keep_delta = true;
    return spec;
  }
  // Per-CPU or not: the packets of one key are in the first slot, and all other slots are zero.
  static void put(int fd, uint32_t key, uint64_t packets, bool new_layout) {
    std::vector<OldValue> before(cpu_count());
    std::vector<NewValue> now(cpu_count());
    before[0].packets = now[0].packets = packets;
    bpf_map_update_elem(fd, &key, new_layout ? static_cast<const void*>(now.data()) : before.data(), BPF_ANY);
  }
  static std::optional<uint64_t> take(int fd, uint32_t key) {
    std::vector<NewValue> values(cpu_count());
    if (bpf_map_lookup_and_delete_elem(fd, &key, values.data()) != 0) return std::nullopt;
    uint64_t packets = 0;
    for (size_t cpu = 0; cpu < (is_percpu(GetParam()) ? cpu_count() : 1); ++cpu) packets += values[cpu].packets;
    return packets;
  }
};

TEST_P(Settled, WhatTheActiveSideDeletesWaitsForNobody) {
  Lab lab(bpffs_, draining());
  for (uint32_t key = 0; key < kKeys; ++key) put(lab.fd0(), key, 100 + key, false);
  ASSERT_GT(lab.settle(kPre), 0);
  for (uint32_t key = 0; key < kKeys; ++key) {  // one more is gone at each pass
    EXPECT_EQ(take(lab.fd1(), key), 100u + key);
    if (key % 3 == 0) put(lab.fd1(), 1000 + key, 1, true);
    ASSERT_TRUE(lab.pass(kNew).settled()) << key;
  }
  lab.pass(kNew);
  for (uint32_t key = 0; key < kKeys; ++key) EXPECT_FALSE(take(lab.fd0(), key)) << key;
}

TEST_P(Settled, WhatMovedOnThePassiveSideWaits) {
  Lab lab(bpffs_, draining());
  for (const uint32_t key : {1, 2}) put(lab.fd0(), key, 100, false);
  ASSERT_GT(lab.settle(kPre), 0);
  put(lab.fd0(), 1, 107, false);  // late
  for (const uint32_t key : {1, 2}) EXPECT_EQ(take(lab.fd1(), key), 100u);
  const PassReport first = lab.pass(kNew);
  EXPECT_EQ(first.pending, 1u);
  EXPECT_FALSE(first.settled());
  EXPECT_GT(lab.settle(kNew), 0);
  EXPECT_EQ(take(lab.fd1(), 1), 7u);
  EXPECT_FALSE(take(lab.fd1(), 2));
}

// Each late count arrives at the reader once, whenever it looks.
TEST_P(Settled, ADrainedMapGetsEveryLateCountOnce) {
  Lab lab(bpffs_, draining());
  uint64_t written = 0, taken = 0;
  for (uint32_t round = 0; round < 40; ++round) {
    for (uint32_t key = round; key < kKeys; key += 1 + round % 7) {
      std::vector<OldValue> values(cpu_count());
      bpf_map_lookup_elem(lab.fd0(), &key, values.data());
      put(lab.fd0(), key, values[0].packets + key, false);
      written += key;
    }
    lab.pass(round < 2 ? kPre : kNew);
    for (uint32_t key = 0; round >= 2 && key < kKeys; key += 1 + round % 2) taken += take(lab.fd1(), key).value_or(0);
  }
  ASSERT_GT(lab.settle(kNew), 0);
  for (uint32_t key = 0; key < kKeys; ++key) taken += take(lab.fd1(), key).value_or(0);
  EXPECT_EQ(taken, written);
}

TEST_P(Settled, SettlesBesideAReaderThatDrainsAllTheTime) {
  for (const SyncPhase phase : {kNew, kOld}) {
    Lab lab(bpffs_, draining());
    for (uint32_t key = 0; key < kKeys; ++key) put(lab.fd0(), key, 100, false);
    ASSERT_GT(lab.settle(kPre), 0);
    const int active = phase == kNew ? lab.fd1() : lab.fd0();
    std::atomic<bool> stop = false;
    std::atomic<uint64_t> drained = 0;
    std::thread reader([&] {
      for (uint32_t n = 0; !stop; ++n) {
        const uint32_t key = n * 2654435761u % kKeys;
        put(active, key, n, phase == kNew);
        drained += bpf_map_delete_elem(active, &key) == 0;
      }
    });
    while (drained < kKeys) std::this_thread::yield();
    const int passes = lab.settle(phase);
    stop = true;
    reader.join();
    EXPECT_GT(passes, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Settled, testing::Values(MapType::kHash, MapType::kLruHash, MapType::kPercpuHash),
                         [](const auto& type) { return to_string(type.param); });

}  // namespace
}  // namespace mapshift::test
