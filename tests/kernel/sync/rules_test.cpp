// SPDX-License-Identifier: Apache-2.0
// One test, or some, for each numbered rule of the engine. Each was seen to fail with its rule taken out.
#include <bpf/libbpf.h>
#include <sched.h>
#include <sys/mman.h>

#include <atomic>
#include <thread>

#include "lab.h"
#include "mapshift/sync.h"
#include "sync_writers.skel.h"

namespace mapshift::test {
namespace {

constexpr SyncPhase kPre = SyncPhase::kPrecopy, kNew = SyncPhase::kLiveNew, kOld = SyncPhase::kLiveOld;

class Rules : public SyncTest {
 protected:
  Lab hash(uint32_t entries0 = 64, uint32_t entries1 = 64) { return Lab(bpffs_, example_spec(MapType::kHash, entries0, entries1)); }
};

TEST_F(Rules, R1BeforeTheSwapTheActiveSideIsNotWritten) {
  Lab lab = hash();
  lab.put0(1, OldValue{10, 20, 3, 4});
  lab.settle(kPre);
  lab.put1(1, NewValue{9, 9, 99, 99, 99});
  lab.put1(2, NewValue{9, 9, 99, 99, 99});
  lab.settle(kPre);
  lab.put0(1, OldValue{11, 20, 3, 4});
  lab.settle(kPre);
  EXPECT_EQ(lab.get0<OldValue>(1)->packets, 11u);
  EXPECT_EQ(lab.get0<OldValue>(1)->last, 20u);
  EXPECT_EQ(lab.get0<OldValue>(1)->state, 3u);
  EXPECT_FALSE(lab.get0<OldValue>(2));
}

TEST_F(Rules, R1AfterTheSwapTheActiveSideGetsWhatMovedOnce) {
  Lab lab = hash();
  lab.put0(1, OldValue{10, 20, 3, 4});
  lab.put0(2, OldValue{10, 20, 3, 4});
  lab.settle(kPre);
  lab.put0(1, OldValue{11, 20, 3, 4});
  EXPECT_EQ(lab.pass(kNew).from_passive, 1u);
  EXPECT_EQ(lab.pass(kNew).from_passive, 0u);
  EXPECT_EQ(lab.get1<NewValue>(1)->packets, 11u);
}

// One array element whose last field is what matters: the fields before it hold the visit open for many microseconds,
// and an interrupt on the CPU of the pass writes that field at any point of it.
class Windows : public SyncTest {
 protected:
  static constexpr uint32_t kFields = 1000, kAt = kFields - 1;
  static constexpr uint32_t kRounds = 1500;

  void open(SyncOp last) {
    SyncSpec spec;
    spec.type0 = spec.type1 = MapType::kArray;
    spec.key_size = 4;
    spec.value_size0 = spec.value_size1 = 4 * kFields;
    spec.max_entries0 = spec.max_entries1 = 1;
    for (size_t i = 0; i < kFields; ++i) spec.fields.push_back(field(i == kAt ? last : SyncOp::kLatest, 4, 4 * i, 4, 4 * i));
    spec.fields.back().group = 1;
    lab_ = std::make_unique<Lab>(bpffs_, spec, BPF_F_MMAPABLE);
    lab_->settle(kPre);
    for (const int fd : {lab_->fd0(), lab_->fd1()}) {
      void* at = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
      ASSERT_NE(at, MAP_FAILED);
      values_.push_back(static_cast<uint32_t*>(at));
    }
  }
  // Interrupts write to the last field of this side from now on, when armed.
  void ambush(int side) {
    ambush_ = sync_writers_bpf::open();
    bpf_map__reuse_fd(ambush_->maps.window, side == 0 ? lab_->fd0() : lab_->fd1());
    ASSERT_EQ(sync_writers_bpf::load(ambush_), 0);
    sched_getaffinity(0, sizeof affinity_, &affinity_);
    pin_to_cpu(0);
    event_ = run_in_interrupts(bpf_program__fd(ambush_->progs.ambush), 0, 97'000);
    ASSERT_TRUE(event_.valid());
    side_ = side;
  }
  void pass_into(SyncPhase phase, uint32_t value) {
    ambush_->bss->ambush_value = value;
    __atomic_store_n(&ambush_->bss->ambush_armed, 1, __ATOMIC_SEQ_CST);
    lab_->pass(phase);
    if (__atomic_exchange_n(&ambush_->bss->ambush_armed, 0, __ATOMIC_SEQ_CST) != 0) at(side_) = value;
    lab_->settle(phase);
  }
  volatile uint32_t& at(int side) { return values_[static_cast<size_t>(side)][kAt]; }
  void TearDown() override {
    if (event_.valid()) sched_setaffinity(0, sizeof affinity_, &affinity_);
    event_.reset();
    sync_writers_bpf::destroy(ambush_);
    for (uint32_t* value : values_) munmap(value, 4096);
  }
  std::unique_ptr<Lab> lab_;
  std::vector<uint32_t*> values_;
  sync_writers_bpf* ambush_ = nullptr;
  cpu_set_t affinity_{};
  Fd event_;
  int side_ = 0;
};

TEST_F(Windows, R2ANewerActiveValueIsNeverWrittenOver) {
  open(SyncOp::kLatest);
  ambush(1);
  uint32_t lost = 0;
  for (uint32_t round = 0; round < kRounds; ++round) {
    at(0) = 1000 + 2 * round;  // late, on the old side
    pass_into(kNew, 1'000'001 + 2 * round);
    lost += at(1) != 1'000'001 + 2 * round;
  }
  EXPECT_EQ(lost, 0u);
}

TEST_F(Windows, R2ALateMaximumIsNeverWrittenOver) {
  open(SyncOp::kMax);
  ambush(0);
  uint32_t lost = 0;
  for (uint32_t round = 1; round <= kRounds; ++round) {
    at(1) = 10 * round;
    pass_into(kNew, 10 * round + 5);
    lost += at(1) != 10 * round + 5 || at(0) != 10 * round + 5;
  }
  EXPECT_EQ(lost, 0u);
}

TEST_F(Rules, R2AWideFieldGoesToTheActiveSideOnlyWithItsKey) {
  SyncSpec spec = example_spec(MapType::kHash, 64, 64);
  spec.fields[2].wide = true;
  Lab lab(bpffs_, spec);
  lab.put0(1, OldValue{0, 0, 1, 0});
  lab.settle(kPre);
  lab.put0(1, OldValue{0, 0, 2, 0});
  lab.put0(2, OldValue{0, 0, 5, 0});
  const PassReport report = lab.pass(kNew);
  EXPECT_EQ(report.unsafe_wide, 1u);
  EXPECT_EQ(lab.get1<NewValue>(1)->state, 1u);
  EXPECT_EQ(lab.get1<NewValue>(2)->state, 5u);
  EXPECT_EQ(lab.pass(kNew).unsafe_wide, 0u);
}

TEST_F(Rules, R3AKeyIsNeverSeenHalfMade) {
  Lab lab = hash(4096, 4096);
  std::atomic<bool> stop = false;
  int torn = 0;
  std::thread reader([&] {
    for (uint32_t key = 0; !stop; key = (key + 1) % 4096) {
      const auto v = lab.get1<NewValue>(key);
      torn += v && (v->packets != 7 || v->last != 8 || v->state != 9 || v->n64 != 10);
    }
  });
  for (int round = 0; round < 20; ++round) {
    for (uint32_t key = 0; key < 4096; ++key) lab.put0(key, OldValue{7, 8, 9, 10});
    lab.pass(round % 2 == 0 ? kPre : kNew);
    for (uint32_t key = 0; key < 4096; ++key) { lab.erase0(key); lab.erase1(key); }
    lab.pass(kPre);
  }
  stop = true;
  reader.join();
  EXPECT_EQ(torn, 0);
}

TEST_F(Rules, R4AbsenceOnTheNewSideBeforeTheSwapIsMadeGood) {
  Lab lab = hash();
  lab.put0(1, OldValue{50, 1, 2, 3});
  lab.settle(kPre);
  lab.erase1(1);
  EXPECT_GT(lab.settle(kPre), 0);
  EXPECT_EQ(lab.get1<NewValue>(1)->packets, 50u);
  lab.erase1(1);
  lab.put0(1, OldValue{51, 1, 2, 3});  // changed as well: found by the walk over side 0
  lab.pass(kPre, false);
  EXPECT_EQ(lab.get1<NewValue>(1)->packets, 51u);
  EXPECT_EQ(lab.get1<NewValue>(1)->n64, 3u);
}

TEST_F(Rules, R5ADeletionOnTheActiveSideWins) {
  for (const bool changed : {false, true}) {
    Lab lab = hash();
    lab.put0(1, OldValue{50, 0, 0, 0});
    lab.settle(kPre);
    lab.erase1(1);
    if (changed) lab.put0(1, OldValue{60, 0, 0, 0});
    lab.pass(kNew);
    lab.pass(kNew);
    EXPECT_FALSE(lab.get0<OldValue>(1));
    EXPECT_FALSE(lab.get1<NewValue>(1));
  }
}

TEST_F(Rules, R6ADeletionOnThePassiveSideWinsOverAnUnchangedKey) {
  Lab lab = hash();
  lab.put0(1, OldValue{50, 0, 0, 0});
  lab.settle(kPre);
  lab.erase0(1);
  EXPECT_GT(lab.settle(kNew), 0);
  EXPECT_FALSE(lab.get1<NewValue>(1));
}

TEST_F(Rules, R6ANewIncarnationIsKeptWhole) {
  Lab lab = hash();
  lab.put0(1, OldValue{50, 0, 0, 0});
  lab.settle(kPre);
  lab.erase0(1);
  lab.put1(1, NewValue{0, 0, 0, 20, 0});
  EXPECT_GT(lab.settle(kNew), 0);
  EXPECT_EQ(lab.get1<NewValue>(1)->packets, 20u);
  EXPECT_EQ(lab.get0<OldValue>(1)->packets, 20u);
}

TEST_F(Rules, R7GoneFromBothClearsValues) {
  Lab lab = hash();
  lab.put0(1, OldValue{100, 0, 0, 0});
  lab.settle(kPre);
  lab.erase0(1);
  lab.erase1(1);
  EXPECT_EQ(lab.pass(kOld).deleted, 1u);
  lab.put0(1, OldValue{3, 0, 0, 0});
  lab.put1(1, NewValue{0, 0, 0, 4, 0});
  lab.settle(kOld);
  EXPECT_EQ(lab.get0<OldValue>(1)->packets, 7u);
}

TEST_F(Rules, R8OneAbsenceProvesNothing) {
  for (const SyncPhase phase : {kPre, kNew}) {
    Lab lab = hash();
    lab.put0(1, OldValue{100, 0, 0, 0});
    lab.settle(kPre);
    lab.erase0(1);
    const PassReport first = lab.pass(phase);
    EXPECT_EQ(first.deleted, 0u);
    EXPECT_EQ(first.pending, 1u);
    EXPECT_FALSE(first.settled());
    EXPECT_TRUE(lab.get1<NewValue>(1));
    EXPECT_EQ(lab.pass(phase).deleted, 1u);
    EXPECT_FALSE(lab.get1<NewValue>(1));
  }
}

TEST_F(Rules, R8AnAbsenceThatWasBrokenStartsAnew) {
  Lab lab = hash();
  lab.put0(1, OldValue{100, 0, 0, 0});
  lab.settle(kPre);
  lab.erase0(1);
  lab.pass(kPre);
  lab.put0(1, OldValue{100, 0, 0, 0});
  lab.pass(kPre, false);  // sees the key, and no reason to look at base
  lab.erase0(1);
  EXPECT_EQ(lab.pass(kPre).deleted, 0u);
  EXPECT_TRUE(lab.get1<NewValue>(1));
}

TEST_F(Rules, R9EvictionIsNoDeletion) {
  for (const SyncPhase phase : {kNew, kOld}) {
    Lab lab(bpffs_, example_spec(MapType::kLruHash, 1024, 1024));
    lab.put0(1, OldValue{100, 5, 6, 7});
    lab.settle(kPre);
    if (phase == kNew)
      lab.erase0(1);
    else
      lab.erase1(1);
    EXPECT_GT(lab.settle(phase), 0);
    lab.settle(phase);
    ASSERT_TRUE(lab.get0<OldValue>(1) && lab.get1<NewValue>(1));
    EXPECT_EQ(lab.get0<OldValue>(1)->packets, 100u);
    EXPECT_EQ(lab.get1<NewValue>(1)->packets, 100u);
    EXPECT_EQ(lab.get1<NewValue>(1)->n64, 7u);
  }
}

// The base of a test, as another process would find it.
struct Base {
  explicit Base(const Lab& lab) : fd(bpf_obj_get((lab.dir() + "/base").c_str())) {}
  [[nodiscard]] size_t entries() const {
    size_t n = 0;
    uint32_t key = 0;
    for (void* from = nullptr; n < 100'000 && bpf_map_get_next_key(fd.get(), from, &key) == 0; from = &key) ++n;
    return n;
  }
  [[nodiscard]] ms_base header(uint32_t key) const {
    std::vector<std::byte> value(base_value_size(example_spec(MapType::kHash, 1, 1), 1));
    bpf_map_lookup_elem(fd.get(), &key, value.data());
    ms_base out{};
    std::memcpy(&out, value.data(), sizeof out);
    return out;
  }
  void set_busy(uint32_t key) const {
    std::vector<std::byte> value(base_value_size(example_spec(MapType::kHash, 1, 1), 1));
    bpf_map_lookup_elem(fd.get(), &key, value.data());
    value[0] = std::byte{1};
    bpf_map_update_elem(fd.get(), &key, value.data(), BPF_EXIST);
  }
  Fd fd;
};

TEST_F(Rules, R10EntriesStayUntilTheSweepAndGoThen) {
  Lab lab = hash(64, 64);
  const Base base(lab);
  for (uint32_t key = 0; key < 10; ++key) lab.put0(key, OldValue{1, 1, 1, 1});
  lab.settle(kPre);
  for (uint32_t key = 0; key < 10; ++key) lab.erase0(key);
  lab.settle(kPre);
  EXPECT_EQ(base.entries(), 10u);  // tombstones: fewer than an eighth of both maps
  EXPECT_EQ(base.header(3).present, 0u);
  for (uint32_t key = 100; key < 130; ++key) lab.put0(key, OldValue{1, 1, 1, 1});
  lab.settle(kPre);
  for (uint32_t key = 100; key < 130; ++key) lab.erase0(key);
  lab.settle(kPre);
  EXPECT_EQ(base.entries(), 0u);
}

// A base smaller than what it must hold, as the pin of an earlier start would be.
void make_small_base(const Lab& lab, const SyncSpec& spec, uint32_t entries) {
  unlink((lab.dir() + "/base").c_str());
  LIBBPF_OPTS(bpf_map_create_opts, options);
  options.map_flags = BPF_F_NO_PREALLOC;
  const Fd fd(bpf_map_create(BPF_MAP_TYPE_HASH, "small", spec.key_size, base_value_size(spec, 1), entries, &options));
  ASSERT_EQ(bpf_obj_pin(fd.get(), (lab.dir() + "/base").c_str()), 0);
}

TEST_F(Rules, R11AFullBaseIsCounted) {
  const SyncSpec spec = example_spec(MapType::kHash, 64, 64);
  Lab lab(bpffs_, spec);
  make_small_base(lab, spec, 20);
  lab.reopen();
  for (uint32_t key = 0; key < 30; ++key) lab.put0(key, OldValue{1, 1, 1, 1});
  EXPECT_EQ(lab.pass(kPre).base_full, 10u);
  EXPECT_EQ(lab.pass(kPre, false).base_full, 10u);
  uint32_t gone = 0;
  for (uint32_t key = 0; key < 30 && gone < 12; ++key) {  // fewer tombstones than are swept without need
    if (!lab.get1<NewValue>(key)) continue;
    lab.erase0(key);
    ++gone;
  }
  PassReport report{};
  for (int n = 0; n < 5; ++n) report = lab.pass(kPre);
  EXPECT_EQ(report.base_full, 0u);
  EXPECT_EQ(report.keys, 18u);
  EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
}

TEST_F(Rules, R12TheNextProcessGoesOnWithTheSameAncestor) {
  Lab lab = hash();
  for (uint32_t key = 0; key < 10; ++key) lab.put0(key, OldValue{100, 1, 1, 1});
  lab.settle(kPre);
  for (uint32_t key = 0; key < 10; ++key) lab.put1(key, NewValue{1, 0, 1, 150, 1});
  lab.put0(3, OldValue{107, 1, 1, 1});
  lab.reopen();
  EXPECT_GT(lab.settle(kNew), 0);
  EXPECT_EQ(lab.get1<NewValue>(3)->packets, 157u);
  EXPECT_EQ(lab.get0<OldValue>(3)->packets, 157u);
  EXPECT_EQ(lab.get0<OldValue>(4)->packets, 150u);
}

TEST_F(Rules, R12LocksThatADeadProcessLeftAreCleared) {
  Lab lab = hash();
  lab.put0(1, OldValue{100, 1, 1, 1});
  lab.settle(kPre);
  Base(lab).set_busy(1);
  lab.put0(1, OldValue{101, 1, 1, 1});
  lab.pass(kPre);
  EXPECT_EQ(lab.get1<NewValue>(1)->packets, 100u);  // turned away by the lock
  lab.reopen();
  lab.pass(kPre);
  EXPECT_EQ(lab.get1<NewValue>(1)->packets, 101u);
  EXPECT_EQ(Base(lab).header(1).busy, 0u);
}

TEST_F(Rules, R12PassNumbersGoOn) {
  Lab lab = hash();
  lab.put0(1, OldValue{100, 1, 1, 1});
  lab.settle(kPre);
  const uint32_t seen = Base(lab).header(1).seen0;
  lab.reopen();
  lab.pass(kPre);
  EXPECT_GT(Base(lab).header(1).seen0, seen);
}

}  // namespace
}  // namespace mapshift::test
