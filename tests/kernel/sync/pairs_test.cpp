// SPDX-License-Identifier: Apache-2.0
// Maps whose type changes between two generations.
#include "writers.h"

namespace mapshift::test {
namespace {

constexpr SyncPhase kPre = SyncPhase::kPrecopy, kNew = SyncPhase::kLiveNew, kOld = SyncPhase::kLiveOld;

class Pairs : public SyncTest {
 protected:
  Lab lab(MapType type0, MapType type1, uint32_t entries = 1024) {
    SyncSpec spec = example_spec(type0, entries, entries);
    spec.type1 = type1;
    return Lab(bpffs_, spec);
  }
};

TEST_F(Pairs, HashAndLruHashCarryBothWays) {
  for (const bool to_lru : {true, false}) {
    Lab both = to_lru ? lab(MapType::kHash, MapType::kLruHash) : lab(MapType::kLruHash, MapType::kHash);
    for (uint32_t key = 0; key < 100; ++key) both.put0(key, OldValue{key, 2, 3, 4});
    EXPECT_GT(both.settle(kPre), 0);
    for (uint32_t key = 0; key < 100; ++key) EXPECT_EQ(both.get1<NewValue>(key)->packets, key);
    both.put1(1, NewValue{5, 6, 7, 11, 9});
    both.put1(1000, NewValue{5, 6, 7, 8, 9});
    both.erase1(2);
    EXPECT_GT(both.settle(kNew), 0);
    EXPECT_EQ(both.get0<OldValue>(1)->packets, 11u);
    ASSERT_TRUE(both.get0<OldValue>(1000));
    EXPECT_EQ(both.get0<OldValue>(1000)->n32, 9u);
    EXPECT_FALSE(both.get0<OldValue>(2));
    EXPECT_EQ(both.sync().verify()->mismatched, 0u);
  }
}

// Only the side that is an LRU map evicts. A key that is gone from it was; gone from the other one it was deleted.
TEST_F(Pairs, EvictionIsJudgedByTheSideThatLostTheKey) {
  Lab to_lru = lab(MapType::kHash, MapType::kLruHash), to_hash = lab(MapType::kLruHash, MapType::kHash);
  for (Lab* both : {&to_lru, &to_hash}) {
    both->put0(1, OldValue{10, 2, 3, 4});
    EXPECT_GT(both->settle(kPre), 0);
  }
  to_lru.erase0(1);   // passive, a plain hash: deleted
  to_hash.erase0(1);  // passive, LRU: evicted
  for (Lab* both : {&to_lru, &to_hash}) {
    EXPECT_GT(both->settle(kNew), 0);
    both->settle(kNew);
  }
  EXPECT_FALSE(to_lru.get1<NewValue>(1));
  ASSERT_TRUE(to_hash.get0<OldValue>(1));
  EXPECT_EQ(to_hash.get0<OldValue>(1)->packets, 10u);

  for (Lab* both : {&to_lru, &to_hash}) {
    both->put1(2, NewValue{1, 2, 3, 20, 5});
    EXPECT_GT(both->settle(kNew), 0);
    both->erase1(2);  // now from what is passive after the swap back
    EXPECT_GT(both->settle(kOld), 0);
    both->settle(kOld);
  }
  ASSERT_TRUE(to_lru.get1<NewValue>(2));
  EXPECT_EQ(to_lru.get1<NewValue>(2)->packets, 20u);
  EXPECT_FALSE(to_hash.get0<OldValue>(2));
}

// An LRU map that is too small for what the hash holds keeps what it can, and takes nothing from the hash.
TEST_F(Pairs, EvictionsOfASmallerMapTakeNothingFromTheOther) {
  SyncSpec spec = example_spec(MapType::kHash, 4096, 1024);
  spec.type1 = MapType::kLruHash;
  Lab both(bpffs_, spec);
  for (uint32_t key = 0; key < 2000; ++key) both.put0(key, OldValue{key, 2, 3, 4});
  for (int n = 0; n < 3; ++n) both.pass(kPre);
  for (int n = 0; n < 3; ++n) both.pass(kOld);
  for (uint32_t key = 0; key < 2000; ++key) {
    ASSERT_TRUE(both.get0<OldValue>(key)) << key;
    EXPECT_EQ(both.get0<OldValue>(key)->packets, key);
    const auto there = both.get1<NewValue>(key);
    EXPECT_EQ(there ? there->packets : key, key);
  }
}

TEST_F(Pairs, SixSwapsBetweenHashAndLruHashLoseNothing) {
  Lab both = lab(MapType::kHash, MapType::kLruHash, 8192);
  Writers writers(both, 255);
  for (size_t cpu = 0; cpu < cpu_count(); ++cpu) writers.start(cpu, {.mask = 255});
  for (int n = 0; n < 3; ++n) both.pass(kPre);
  for (uint32_t swap = 1; swap <= 6; ++swap) {
    const SyncPhase phase = swap % 2 == 1 ? kNew : kOld;
    both.sync().enter(phase);
    writers.swap_to(swap % 2);
    both.pass(phase);
    writers.quiesce();
    EXPECT_GT(both.settle(phase), 0) << "swap " << swap;
  }
  writers.stop();
  EXPECT_GT(both.settle(kOld), 0);
  both.pass(kOld);
  uint64_t packets0 = 0, packets1 = 0;
  for (uint32_t key = 0; key < 256; ++key) {
    if (const auto v = both.get0<OldValue>(key)) packets0 += v->packets;
    if (const auto v = both.get1<NewValue>(key)) packets1 += v->packets;
  }
  EXPECT_EQ(packets0, writers.total());
  EXPECT_EQ(packets1, writers.total());
  EXPECT_EQ(both.sync().verify()->mismatched, 0u);
}

}  // namespace
}  // namespace mapshift::test
