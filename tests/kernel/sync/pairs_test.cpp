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

// One value for each CPU adds up to one for all.
class AddsUp : public Pairs, public testing::WithParamInterface<MapType> {
 protected:
  static SyncSpec spec(MapType type0) {
    SyncSpec spec = example_spec(type0, 1024, 1024);
    spec.type1 = is_array(type0) ? MapType::kArray : MapType::kHash;
    spec.fields = {spec.fields[0], spec.fields[3]};
    return spec;
  }
  static uint64_t sum0(const Lab& lab, uint32_t key) {
    uint64_t sum = 0;
    for (const OldValue& v : lab.get_cpus0<OldValue>(key)) sum += v.packets;
    return sum;
  }
  static uint64_t sum_n32(const Lab& lab, uint32_t key) {
    uint64_t sum = 0;
    for (const OldValue& v : lab.get_cpus0<OldValue>(key)) sum += v.n32;
    return sum;
  }
  static std::vector<OldValue> each_cpu(uint64_t packets) { return std::vector<OldValue>(cpu_count(), OldValue{packets, 0, 0, static_cast<uint32_t>(packets)}); }
};

TEST_P(AddsUp, ValuesOfAllCpusBecomeOne) {
  Lab lab(bpffs_, spec(GetParam()));
  const uint64_t cpus = cpu_count();
  lab.put_cpus0(1, each_cpu(3'000'000'000));
  EXPECT_GT(lab.settle(kPre), 0);
  ASSERT_TRUE(lab.get1<NewValue>(1));
  EXPECT_EQ(lab.get1<NewValue>(1)->packets, 3'000'000'000 * cpus);
  EXPECT_EQ(lab.get1<NewValue>(1)->n64, 3'000'000'000 * cpus);
  lab.put_cpus0(1, each_cpu(3'000'000'010));
  EXPECT_GT(lab.settle(kPre), 0);
  EXPECT_EQ(lab.get1<NewValue>(1)->packets, 3'000'000'010 * cpus);
  EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
  NewValue more = *lab.get1<NewValue>(1);
  more.packets += 100;
  more.n64 += 100;
  lab.put1(1, more);
  lab.put1(2, NewValue{0, 0, 0, 50, 50});
  lab.put_cpus0(1, each_cpu(3'000'000'011));  // late
  EXPECT_GT(lab.settle(kNew), 0);
  EXPECT_EQ(lab.get1<NewValue>(1)->packets, 3'000'000'011 * cpus + 100);
  EXPECT_EQ(sum0(lab, 1), 3'000'000'011 * cpus + 100);
  EXPECT_EQ(sum_n32(lab, 1) % (uint64_t{1} << 32), (3'000'000'011 * cpus + 100) % (uint64_t{1} << 32));
  EXPECT_EQ(sum0(lab, 2), 50u);
  EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
  lab.reopen();
  lab.put_cpus0(1, each_cpu(7));  // user space restarts the counters
  EXPECT_GT(lab.settle(kOld), 0);
  EXPECT_EQ(lab.get1<NewValue>(1)->packets, 7 * cpus);
}

TEST_P(AddsUp, VerifyFindsWhatDiffers) {
  Lab lab(bpffs_, spec(GetParam()));
  lab.put_cpus0(1, each_cpu(5));
  EXPECT_GT(lab.settle(kPre), 0);
  EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
  // Both sides as base says, and yet different: as a lost write would leave them.
  SyncSpec other = spec(GetParam());
  const Fd base(bpf_obj_get((lab.dir() + "/base").c_str()));
  std::vector<uint64_t> entry(base_value_size(other, static_cast<uint32_t>(cpu_count())) / 8);
  const uint32_t key = 1;
  ASSERT_EQ(bpf_map_lookup_elem(base.get(), &key, entry.data()), 0);
  NewValue value = *lab.get1<NewValue>(1);
  value.packets += 1;
  lab.put1(1, value);
  // Behind the header of 32 bytes: state, the old value, the new one.
  entry[(32 + 8 + sizeof(OldValue) + offsetof(NewValue, packets)) / 8] += 1;
  ASSERT_EQ(bpf_map_update_elem(base.get(), &key, entry.data(), BPF_ANY), 0);
  EXPECT_EQ(lab.sync().verify()->mismatched, 1u);
}

TEST_P(AddsUp, SixSwapsLoseNothing) {
  Lab both(bpffs_, spec(GetParam()));
  Writers writers(both, 15);
  for (size_t cpu = 0; cpu < cpu_count(); ++cpu) {
    writers.start(cpu, {.mask = 15});
    if (!writers.start_interrupts(cpu)) printf("no CPU clock events here: no interrupt writers\n");
  }
  for (int n = 0; n < 3; ++n) both.pass(kPre);
  for (uint32_t swap = 1; swap <= 6; ++swap) {
    const SyncPhase phase = swap % 2 == 1 ? kNew : kOld;
    both.sync().enter(phase);
    writers.swap_to(swap % 2);
    both.sync().pass_hot(phase);
    both.pass(phase);
    writers.quiesce();
    EXPECT_GT(both.settle(phase), 0) << "swap " << swap;
    for (int n = 0; n < 10; ++n) both.pass(phase);
  }
  writers.stop();
  EXPECT_GT(both.settle(kOld), 0);
  both.pass(kOld);
  uint64_t packets0 = 0, packets1 = 0, n0 = 0, n1 = 0;
  for (uint32_t key = 0; key < 16; ++key) {
    packets0 += sum0(both, key);
    n0 += sum_n32(both, key);
    const auto v = both.get1<NewValue>(key);
    packets1 += v ? v->packets : 0;
    n1 += v ? v->n64 : 0;
  }
  EXPECT_EQ(packets0, writers.total());
  EXPECT_EQ(packets1, writers.total());
  EXPECT_EQ(n1, writers.total());
  EXPECT_EQ(n0 % (uint64_t{1} << 32), writers.total());
  EXPECT_EQ(both.sync().verify()->mismatched, 0u);
}
INSTANTIATE_TEST_SUITE_P(Types, AddsUp, testing::Values(MapType::kPercpuHash, MapType::kPercpuArray, MapType::kLruPercpuHash),
                         [](const auto& type) { return to_string(type.param); });

class AddsUpKeys : public AddsUp {};

TEST_P(AddsUpKeys, ADeletionTakesOnlyTheOldCount) {
  for (const SyncPhase phase : {kNew, kOld}) {
    Lab lab(bpffs_, spec(GetParam()));
    const uint64_t cpus = cpu_count();
    lab.put_cpus0(1, each_cpu(100));
    lab.settle(kPre);
    lab.settle(kNew);
    if (phase == kNew) {
      lab.erase0(1);
      NewValue v = *lab.get1<NewValue>(1);
      v.packets += 7;
      v.n64 += 7;
      lab.put1(1, v);
    } else {
      lab.erase1(1);
      lab.put_cpus0(1, each_cpu(103));
    }
    EXPECT_GT(lab.settle(phase), 0);
    lab.settle(phase);
    const uint64_t left = phase == kNew ? 7 : 3 * cpus;
    ASSERT_TRUE(lab.get1<NewValue>(1));
    EXPECT_EQ(lab.get1<NewValue>(1)->packets, left);
    EXPECT_EQ(sum0(lab, 1), left);
    lab.erase0(1);
    lab.erase1(1);
    lab.settle(phase);
    lab.put_cpus0(1, each_cpu(2));
    EXPECT_GT(lab.settle(phase), 0);
    EXPECT_EQ(lab.get1<NewValue>(1)->packets, 2 * cpus);
  }
}
INSTANTIATE_TEST_SUITE_P(Types, AddsUpKeys, testing::Values(MapType::kPercpuHash), [](const auto& type) { return to_string(type.param); });

// Two layouts that share no field share their keys.
TEST_F(Pairs, KeysAloneAreSyncedAsWell) {
  SyncSpec spec = example_spec(MapType::kHash, 64, 64);
  spec.fields.clear();
  Lab lab(bpffs_, spec);
  lab.put0(1, OldValue{1, 2, 3, 4});
  EXPECT_GT(lab.settle(kPre), 0);
  EXPECT_TRUE(lab.get1<NewValue>(1));
}

TEST_F(Pairs, OnlySumsAddUp) {
  SyncSpec spec = example_spec(MapType::kPercpuHash, 64, 64);
  spec.type1 = MapType::kHash;
  const auto refused = open_linux_sync(spec, "/nowhere", "/nowhere", "/nowhere");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace mapshift::test
