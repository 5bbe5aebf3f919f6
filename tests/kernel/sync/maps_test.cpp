// SPDX-License-Identifier: Apache-2.0
// Map types, sizes and limits: per-CPU, LRU, arrays, growth, long keys and values, full maps, refused specs.
#include <array>
#include <numeric>

#include "lab.h"

namespace mapshift::test {
namespace {

constexpr SyncPhase kPre = SyncPhase::kPrecopy, kNew = SyncPhase::kLiveNew, kOld = SyncPhase::kLiveOld;

class Maps : public SyncTest {};

std::vector<OldValue> old_values(uint64_t packets, uint64_t last, uint32_t state) {
  std::vector<OldValue> out;
  for (uint64_t cpu = 0; cpu < cpu_count(); ++cpu) out.push_back({packets + cpu, last + cpu, state, static_cast<uint32_t>(cpu)});
  return out;
}
std::vector<NewValue> new_values(uint64_t packets, uint64_t last, uint32_t state) {
  std::vector<NewValue> out;
  for (uint64_t cpu = 0; cpu < cpu_count(); ++cpu) out.push_back({state, 0, last + cpu, packets + cpu, cpu});
  return out;
}
void expect_slots(const Lab& lab, uint64_t packets, uint64_t last, uint32_t state) {
  const auto x = lab.get_cpus0<OldValue>(1);
  const auto y = lab.get_cpus1<NewValue>(1);
  ASSERT_EQ(x.size(), cpu_count());
  ASSERT_EQ(y.size(), cpu_count());
  for (size_t cpu = 0; cpu < cpu_count(); ++cpu) {
    EXPECT_EQ(x[cpu].packets, packets + cpu) << "cpu " << cpu;
    EXPECT_EQ(y[cpu].packets, packets + cpu) << "cpu " << cpu;
    EXPECT_EQ(x[cpu].last, last + cpu) << "cpu " << cpu;
    EXPECT_EQ(y[cpu].last, last + cpu) << "cpu " << cpu;
    EXPECT_EQ(x[cpu].state, state) << "cpu " << cpu;
    EXPECT_EQ(y[cpu].state, state) << "cpu " << cpu;
  }
}

TEST_F(Maps, PerCpuValuesTravelSlotBySlot) {
  for (const MapType type : {MapType::kPercpuHash, MapType::kPercpuArray, MapType::kLruPercpuHash}) {
    Lab lab(bpffs_, example_spec(type, 1024, 1024));
    lab.put_cpus0(1, old_values(100, 10, 3));
    EXPECT_GT(lab.settle(kPre), 0);
    expect_slots(lab, 100, 10, 3);
    lab.put_cpus0(1, old_values(110, 10, 3));
    lab.put_cpus1(1, new_values(105, 20, 4));
    EXPECT_GT(lab.settle(kNew), 0);
    expect_slots(lab, 115, 20, 4);
    EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
  }
}

TEST_F(Maps, PerCpuKeysAreMadeWholeOnEitherSide) {
  Lab lab(bpffs_, example_spec(MapType::kPercpuHash, 64, 64));
  lab.put_cpus0(1, old_values(3'000'000'000, 10, 3));
  EXPECT_GT(lab.settle(kNew), 0);  // late, on the passive side
  expect_slots(lab, 3'000'000'000, 10, 3);
  lab.erase0(1);
  lab.erase1(1);
  EXPECT_GT(lab.settle(kNew), 0);
  lab.put_cpus1(1, new_values(7, 8, 9));
  EXPECT_GT(lab.settle(kNew), 0);
  lab.settle(kNew);
  expect_slots(lab, 7, 8, 9);
}

TEST_F(Maps, PerCpuKeyLostOnTheNewSideBeforeTheSwap) {
  Lab lab(bpffs_, example_spec(MapType::kPercpuHash, 64, 64));
  lab.put_cpus0(1, old_values(100, 10, 3));
  lab.settle(kPre);
  lab.erase1(1);
  EXPECT_GT(lab.settle(kPre), 0);
  expect_slots(lab, 100, 10, 3);
  lab.erase1(1);
  auto changed = old_values(100, 10, 3);
  changed[0].packets += 5;  // on one CPU only, so that the walk over side 0 finds it
  lab.put_cpus0(1, changed);
  lab.pass(kPre, false);
  EXPECT_GT(lab.settle(kNew), 0);
  for (size_t cpu = 0; cpu < cpu_count(); ++cpu) {
    EXPECT_EQ(lab.get_cpus0<OldValue>(1)[cpu].packets, 100 + cpu + (cpu == 0 ? 5 : 0));
    EXPECT_EQ(lab.get_cpus1<NewValue>(1)[cpu].packets, 100 + cpu + (cpu == 0 ? 5 : 0));
  }
}

TEST_F(Maps, PerCpuLateDeletionTakesOnlyTheOldCount) {
  for (const SyncPhase phase : {kNew, kOld}) {
    Lab lab(bpffs_, example_spec(MapType::kPercpuHash, 64, 64));
    lab.put_cpus0(1, old_values(100, 10, 3));
    lab.settle(kPre);
    lab.settle(kNew);
    if (phase == kNew) {
      lab.erase0(1);
      lab.put_cpus1(1, new_values(105, 20, 4));
    } else {
      lab.erase1(1);
      lab.put_cpus0(1, old_values(105, 20, 4));
    }
    EXPECT_GT(lab.settle(phase), 0);
    for (size_t cpu = 0; cpu < cpu_count(); ++cpu) {
      ASSERT_FALSE(lab.get_cpus0<OldValue>(1).empty());
      EXPECT_EQ(lab.get_cpus0<OldValue>(1)[cpu].packets, 5u);
      EXPECT_EQ(lab.get_cpus1<NewValue>(1)[cpu].packets, 5u);
      EXPECT_EQ(lab.get_cpus1<NewValue>(1)[cpu].last, 20u + cpu);
      EXPECT_EQ(lab.get_cpus0<OldValue>(1)[cpu].state, 4u);
    }
  }
}

TEST_F(Maps, PerCpuEvictionIsMadeGood) {
  Lab lab(bpffs_, example_spec(MapType::kLruPercpuHash, 1024, 1024));
  lab.put_cpus0(1, old_values(100, 10, 3));
  lab.settle(kPre);
  lab.erase0(1);
  lab.settle(kNew);
  lab.settle(kNew);
  expect_slots(lab, 100, 10, 3);
}

TEST_F(Maps, HashBecomesLruAndBack) {
  for (const bool lru0 : {false, true}) {
    SyncSpec spec = example_spec(lru0 ? MapType::kLruHash : MapType::kHash, 1024, 1024);
    spec.type1 = lru0 ? MapType::kHash : MapType::kLruHash;
    Lab lab(bpffs_, spec);
    for (uint32_t key = 0; key < 100; ++key) lab.put0(key, OldValue{key, 1, 2, 3});
    EXPECT_GT(lab.settle(kPre), 0);
    EXPECT_GT(lab.settle(kNew), 0);
    EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
  }
}

// The passive side evicts for as long as the active one is full; that must not keep an update from settling.
TEST_F(Maps, AFullLruMapSettles) {
  for (const MapType type : {MapType::kLruHash, MapType::kLruPercpuHash}) {
    SyncSpec spec = example_spec(type, 512, 4096);
    Lab lab(bpffs_, spec);
    for (uint32_t key = 0; key < 3000; ++key) lab.put_cpus1(key, new_values(key, 1, 2));
    for (int n = 0; n < 3; ++n) lab.pass(kNew);
    EXPECT_GT(lab.settle(kNew), 0);
  }
}

TEST_F(Maps, AnArrayMayGrow) {
  for (const MapType type : {MapType::kArray, MapType::kPercpuArray}) {
    Lab lab(bpffs_, example_spec(type, 8, 16));
    for (uint32_t key = 0; key < 8; ++key) lab.put_cpus0(key, old_values(key, 0, 0));
    EXPECT_GT(lab.settle(kPre), 0);
    PassReport report = lab.pass(kNew);
    EXPECT_EQ(report.full0 + report.added + report.changed, 0u);  // an empty tail is nothing to carry
    lab.put_cpus1(12, new_values(1, 2, 3));
    EXPECT_GT(lab.settle(kNew), 0);
    report = lab.pass(kNew);
    EXPECT_GE(report.full0, 1u);  // a rollback would lose it
    EXPECT_EQ(lab.get_cpus1<NewValue>(7)[0].packets, 7u);
  }
}

TEST_F(Maps, AHashMayGrowAndTheOldSideBeFull) {
  Lab lab(bpffs_, example_spec(MapType::kHash, 16, 64));
  for (uint32_t key = 0; key < 16; ++key) lab.put0(key, OldValue{key, 0, 0, 0});
  lab.settle(kPre);
  for (uint32_t key = 100; key < 110; ++key) lab.put1(key, NewValue{0, 0, 0, key, 0});
  EXPECT_EQ(lab.pass(kNew).full0, 10u);
  EXPECT_EQ(lab.pass(kNew).full0, 10u);
  for (uint32_t key = 100; key < 110; ++key) EXPECT_TRUE(lab.get1<NewValue>(key));
  lab.erase1(3);
  lab.settle(kNew);
  lab.settle(kNew);
  EXPECT_FALSE(lab.get0<OldValue>(3));
  EXPECT_EQ(lab.pass(kNew).full0, 9u);  // its place was taken
}

TEST_F(Maps, AFullNewSideIsCountedBeforeTheSwap) {
  Lab lab(bpffs_, example_spec(MapType::kHash, 64, 16));
  for (uint32_t key = 0; key < 20; ++key) lab.put0(key, OldValue{key, 0, 0, 0});
  EXPECT_EQ(lab.pass(kPre).full1, 4u);
}

TEST_F(Maps, DeltasOfADeletedKeyAreKeptWhereAsked) {
  for (const MapType type : {MapType::kHash, MapType::kPercpuHash}) {
    SyncSpec spec = example_spec(type, 64, 64);
    spec.keep_delta = true;
    Lab lab(bpffs_, spec);
    lab.put_cpus0(1, old_values(100, 10, 3));
    lab.put_cpus0(2, old_values(100, 10, 3));
    lab.settle(kPre);
    lab.put_cpus0(1, old_values(104, 10, 3));
    lab.erase1(1);
    lab.erase1(2);
    EXPECT_GT(lab.settle(kNew), 0);
    ASSERT_FALSE(lab.get_cpus1<NewValue>(1).empty());
    EXPECT_EQ(lab.get_cpus1<NewValue>(1)[0].packets, 4u);
    EXPECT_EQ(lab.get_cpus0<OldValue>(1)[0].packets, 4u);
    EXPECT_TRUE(lab.get_cpus1<NewValue>(2).empty());
    EXPECT_TRUE(lab.get_cpus0<OldValue>(2).empty());
  }
}

TEST_F(Maps, NewFieldsGetTheirDefaultWhereTheEngineMakesTheValue) {
  for (const MapType type : {MapType::kHash, MapType::kArray, MapType::kPercpuHash, MapType::kPercpuArray}) {
    SyncSpec spec = example_spec(type, 16, 16);
    spec.defaults1 = {{offsetof(NewValue, flags), 4, 77}};
    Lab lab(bpffs_, spec);
    lab.put_cpus0(1, old_values(100, 10, 3));
    EXPECT_GT(lab.settle(kPre), 0);
    for (const NewValue& v : lab.get_cpus1<NewValue>(1)) {
      EXPECT_EQ(v.flags, 77u) << to_string(type);
      if (!is_percpu(type)) break;
    }
    auto changed = new_values(100, 10, 3);
    for (NewValue& v : changed) v.flags = 5;
    lab.put_cpus1(1, changed);
    lab.put_cpus0(1, old_values(101, 10, 3));
    EXPECT_GT(lab.settle(kNew), 0);
    EXPECT_EQ(lab.get_cpus1<NewValue>(1)[0].flags, 5u);
  }
}

// A data section: one element, whose variables that only the new object has keep their initialisers.
TEST_F(Maps, AOneElementArrayKeepsWhatNoFieldCovers) {
  Lab lab(bpffs_, example_spec(MapType::kArray, 1, 1));
  lab.put0(0, OldValue{5, 6, 7, 8});
  lab.put1(0, NewValue{1, 4711, 2, 3, 4});
  EXPECT_GT(lab.settle(kPre), 0);
  EXPECT_EQ(lab.get1<NewValue>(0)->flags, 4711u);
  EXPECT_EQ(lab.get1<NewValue>(0)->packets, 5u);
  lab.put1(0, NewValue{7, 4711, 6, 9, 8});
  EXPECT_GT(lab.settle(kNew), 0);
  EXPECT_EQ(lab.get0<OldValue>(0)->packets, 9u);
}

TEST_F(Maps, KeysUpTo64BytesAndValuesUpTo4096With1024Fields) {
  for (const uint32_t key_size : {1u, 3u, 13u, 64u}) {
    SyncSpec spec;
    spec.key_size = key_size;
    spec.value_size0 = spec.value_size1 = 4096;
    spec.max_entries0 = spec.max_entries1 = 64;
    for (size_t i = 0; i < 1024; ++i) spec.fields.push_back(field(SyncOp::kSum, 4, 4 * i, 4, 4 * (1023 - i)));
    Lab lab(bpffs_, spec);
    std::vector<uint32_t> value(1024), seen(1024);
    std::iota(value.begin(), value.end(), 1000u);
    std::vector<uint8_t> key(key_size, 9);
    for (uint8_t n = 0; n < 20; ++n) {
      key.back() = n;
      bpf_map_update_elem(lab.fd0(), key.data(), value.data(), BPF_ANY);
    }
    EXPECT_GT(lab.settle(kPre), 0);
    key.back() = 7;
    ++value[1023];
    bpf_map_update_elem(lab.fd0(), key.data(), value.data(), BPF_ANY);
    EXPECT_GT(lab.settle(kNew), 0);
    ASSERT_EQ(bpf_map_lookup_elem(lab.fd1(), key.data(), seen.data()), 0);
    EXPECT_EQ(seen[0], 2024u);
    EXPECT_EQ(seen[1023], 1000u);
    EXPECT_EQ(lab.sync().verify()->keys, 20u);
    EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
  }
}

// The walks are iterators where asked for, and find the same.
TEST_F(Maps, AMapCanBeWalkedInSlices) {
  constexpr uint32_t kKeys = 20'000;
  SyncSpec spec = example_spec(MapType::kHash, 60'000, 60'000);
  spec.in_slices = true;
  Lab lab(bpffs_, spec);
  for (uint32_t key = 0; key < kKeys; ++key) lab.put0(key, OldValue{key, 1, 2, 3});
  PassReport report = lab.pass(kPre);
  EXPECT_EQ(report.keys, kKeys);
  EXPECT_EQ(report.added, kKeys);
  for (uint32_t key = 0; key < kKeys; key += 10) lab.put0(key, OldValue{key + 5, 1, 2, 3});
  report = lab.pass(kPre, false);
  EXPECT_EQ(report.changed, kKeys / 10);
  lab.erase0(1);
  lab.erase1(2);
  lab.erase1(3);
  lab.put1(3, NewValue{2, 0, 1, 7, 3});
  EXPECT_GT(lab.settle(kNew), 0);
  lab.settle(kNew);
  EXPECT_FALSE(lab.get1<NewValue>(1));
  EXPECT_FALSE(lab.get0<OldValue>(2));
  EXPECT_EQ(lab.get0<OldValue>(3)->packets, 7u);
  EXPECT_EQ(lab.sync().verify()->keys, kKeys - 2);
  EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
}

TEST_F(Maps, HotPassesVisitWhatChanged) {
  Lab lab(bpffs_, example_spec(MapType::kHash, 64, 64));
  for (uint32_t key = 0; key < 50; ++key) lab.put0(key, OldValue{1, 1, 1, 1});
  lab.settle(kPre);
  lab.put0(7, OldValue{2, 1, 1, 1});
  EXPECT_EQ(lab.pass(kPre).hot, 1u);
  lab.put0(7, OldValue{3, 1, 1, 1});
  lab.put0(8, OldValue{3, 1, 1, 1});
  const auto report = lab.sync().pass_hot(kPre);
  EXPECT_EQ(report->keys, 1u);
  EXPECT_EQ(lab.get1<NewValue>(7)->packets, 3u);
  EXPECT_EQ(lab.get1<NewValue>(8)->packets, 1u);
}

TEST_F(Maps, WhatTheEngineCannotServeIsRefused) {
  const auto refused = [&](auto change) {
    SyncSpec spec = example_spec(MapType::kHash, 16, 16);
    change(spec);
    const auto opened = open_linux_sync(spec, "/nowhere", "/nowhere", "/nowhere");
    return !opened && opened.error().code != ErrorCode::kKernel;
  };
  EXPECT_TRUE(refused([](SyncSpec& s) { s.type1 = MapType::kArray; }));
  EXPECT_TRUE(refused([](SyncSpec& s) { s.type0 = MapType::kArray, s.type1 = MapType::kLruHash; }));
  EXPECT_TRUE(refused([](SyncSpec& s) { s.type0 = s.type1 = MapType::kQueue; }));
  EXPECT_TRUE(refused([](SyncSpec& s) { s.key_size = 65; }));
  EXPECT_TRUE(refused([](SyncSpec& s) { s.value_size1 = 4097; }));
  EXPECT_TRUE(refused([](SyncSpec& s) { s.fields[0].size0 = 3; }));
  EXPECT_TRUE(refused([](SyncSpec& s) { s.fields[0].size0 = 0; }));
  EXPECT_TRUE(refused([](SyncSpec& s) { s.fields[0].offset0 = 20; }));
  EXPECT_TRUE(refused([](SyncSpec& s) { s.fields[0].offset0 = 4; }));  // a misaligned sum
  EXPECT_TRUE(refused([](SyncSpec& s) { s.fields[0].remap = 0; }));
  EXPECT_TRUE(refused([](SyncSpec& s) { s.fields.resize(1025); }));
}

// 6 bytes: the last counter's word reaches beyond the value, so no instruction of BPF adds to it atomically.
TEST_F(Maps, ANarrowSumAtTheEndOfAnOddValue) {
  SyncSpec spec = example_spec(MapType::kHash, 16, 16);
  spec.value_size0 = spec.value_size1 = 6;
  spec.fields = {field(SyncOp::kSum, 2, 4, 2, 4), field(SyncOp::kSum, 1, 0, 1, 0)};
  Lab lab(bpffs_, spec);
  using Six = std::array<uint16_t, 3>;
  lab.put0(1, Six{1, 0, 10});
  lab.settle(kPre);
  lab.put0(1, Six{2, 0, 13});
  lab.put1(1, Six{3, 0, 11});
  EXPECT_GT(lab.settle(kNew), 0);
  EXPECT_EQ((*lab.get1<Six>(1))[2], 14u);
  EXPECT_EQ((*lab.get0<Six>(1))[2], 14u);
  EXPECT_EQ((*lab.get1<Six>(1))[0], 4u);
}

}  // namespace
}  // namespace mapshift::test
