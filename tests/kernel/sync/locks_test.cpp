// SPDX-License-Identifier: Apache-2.0
// Values with a bpf_spin_lock: written by programs plainly and only under it, and so by the engine.
#include <bpf/libbpf.h>
#include <fcntl.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "lab.h"
#include "sync_locks.skel.h"

namespace mapshift::test {
namespace {

constexpr SyncPhase kPre = SyncPhase::kPrecopy, kNew = SyncPhase::kLiveNew, kOld = SyncPhase::kLiveOld;

struct LockedOld {
  uint32_t lock = 0, n32 = 0;
  uint64_t packets = 0, pair = 0, pair_check = ~0ull;
  uint16_t n16 = 0, spare = 0;
  uint32_t end = 0;
};
struct LockedNew {
  uint64_t pair_check = ~0ull, pair = 0, n64 = 0, packets = 0;
  uint32_t fresh = 0, lock = 0, n16 = 0, padding = 0;
};
struct Unlocked {
  uint64_t packets = 0, n64 = 0, pair = 0, pair_check = ~0ull;
  uint32_t n16 = 0, spare = 0;
};

Fd copy_of(const bpf_map* map) { return Fd(fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 3)); }

// What an object's value looks like to the engine, as the plan would say.
struct Side {
  MapType type;
  uint32_t size;
  int32_t lock;
  size_t packets, n, n_size, n16, n16_size, pair, pair_check;
};
Side locked_old(MapType type) {
  return {type, sizeof(LockedOld), offsetof(LockedOld, lock), offsetof(LockedOld, packets), offsetof(LockedOld, n32), 4,
          offsetof(LockedOld, n16), 2, offsetof(LockedOld, pair), offsetof(LockedOld, pair_check)};
}
Side locked_new(MapType type) {
  return {type, sizeof(LockedNew), offsetof(LockedNew, lock), offsetof(LockedNew, packets), offsetof(LockedNew, n64), 8,
          offsetof(LockedNew, n16), 4, offsetof(LockedNew, pair), offsetof(LockedNew, pair_check)};
}
Side unlocked() {
  return {MapType::kLruHash, sizeof(Unlocked), -1, offsetof(Unlocked, packets), offsetof(Unlocked, n64), 8,
          offsetof(Unlocked, n16), 4, offsetof(Unlocked, pair), offsetof(Unlocked, pair_check)};
}

SyncSpec spec_of(const Side& side0, const Side& side1, uint32_t entries) {
  SyncSpec spec;
  spec.type0 = side0.type;
  spec.type1 = side1.type;
  spec.key_size = 4;
  spec.value_size0 = side0.size;
  spec.value_size1 = side1.size;
  spec.max_entries0 = spec.max_entries1 = entries;
  spec.lock0 = side0.lock;
  spec.lock1 = side1.lock;
  spec.fields = {field(SyncOp::kSum, 8, side0.packets, 8, side1.packets), field(SyncOp::kSum, side0.n_size, side0.n, side1.n_size, side1.n),
                 field(SyncOp::kSum, side0.n16_size, side0.n16, side1.n16_size, side1.n16),
                 field(SyncOp::kLatest, 8, side0.pair, 8, side1.pair), field(SyncOp::kLatest, 8, side0.pair_check, 8, side1.pair_check)};
  return spec;
}

enum class Kind { kHash, kArray, kOldUnlocked, kNewUnlocked };

class Locks : public SyncTest {
 protected:
  void open(Kind kind = Kind::kHash, bool in_slices = false) {
    kind_ = kind;
    skeleton_ = sync_locks_bpf::open();
    const MapType type = kind == Kind::kArray ? MapType::kArray : MapType::kHash;
    const uint32_t entries = kind == Kind::kArray ? 64 : 4096;
    for (bpf_map* map : {skeleton_->maps.locked0, skeleton_->maps.locked1}) {
      bpf_map__set_type(map, static_cast<bpf_map_type>(type));
      bpf_map__set_max_entries(map, entries);
    }
    ASSERT_EQ(sync_locks_bpf::load(skeleton_), 0);
    SyncSpec spec = spec_of(kind == Kind::kOldUnlocked ? unlocked() : locked_old(type),
                            kind == Kind::kNewUnlocked ? unlocked() : locked_new(type), entries);
    spec.in_slices = in_slices;
    lab_ = std::make_unique<Lab>(bpffs_, spec, copy_of(kind == Kind::kOldUnlocked ? skeleton_->maps.unlocked0 : skeleton_->maps.locked0),
                                 copy_of(kind == Kind::kNewUnlocked ? skeleton_->maps.unlocked1 : skeleton_->maps.locked1));
    skeleton_->bss->order_unlocked0 = kind == Kind::kOldUnlocked;
    skeleton_->bss->order_unlocked1 = kind == Kind::kNewUnlocked;
    skeleton_->bss->order_count = 500;
  }
  void TearDown() override {
    stop();
    sync_locks_bpf::destroy(skeleton_);
  }
  void start(uint32_t mask) {
    skeleton_->bss->order_mask = mask;
    for (size_t cpu = 0; cpu < cpu_count(); ++cpu) {
      auto& slot = *slots_.emplace_back(std::make_unique<Slot>());
      slot.thread = std::thread([this, cpu, &slot] {
        pin_to_cpu(cpu);
        char frame[64] = {};
        while (!stop_) {
          LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof frame);
          if (bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.count_many), &options) != 0) break;
          total_ += options.retval;
          ++slot.runs;
        }
        slot.ended = true;
      });
    }
  }
  void quiesce() {
    for (const auto& slot : slots_) {
      for (const uint64_t from = slot->runs; slot->runs < from + 2 && !slot->ended;) std::this_thread::yield();
    }
  }
  void stop() {
    stop_ = true;
    for (const auto& slot : slots_)
      if (slot->thread.joinable()) slot->thread.join();
  }
  void six_swaps(uint32_t mask) {
    start(mask);
    for (int n = 0; n < 3; ++n) lab_->pass(kPre);
    for (uint32_t swap = 1; swap <= 6; ++swap) {
      const SyncPhase phase = swap % 2 == 1 ? kNew : kOld;
      lab_->sync().enter(phase);
      skeleton_->bss->generation = swap % 2;
      lab_->sync().pass_hot(phase);
      lab_->pass(phase);
      quiesce();
      EXPECT_GT(lab_->settle(phase), 0) << "swap " << swap;
      for (const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(100); std::chrono::steady_clock::now() < until;) lab_->pass(phase);
    }
    stop();
    EXPECT_GT(lab_->settle(kOld), 0);
    lab_->pass(kOld);
    expect_all(mask);
  }
  void expect_all(uint32_t mask) {
    uint64_t packets0 = 0, packets1 = 0, n0 = 0, n1 = 0;
    for (uint32_t key = 0; key <= mask; ++key) {
      if (kind_ == Kind::kOldUnlocked) add(lab_->get0<Unlocked>(key), packets0, n0, [](const Unlocked& v) { return v.n64; });
      else add(lab_->get0<LockedOld>(key), packets0, n0, [](const LockedOld& v) { return v.n32; });
      if (kind_ == Kind::kNewUnlocked) add(lab_->get1<Unlocked>(key), packets1, n1, [](const Unlocked& v) { return v.n64; });
      else add(lab_->get1<LockedNew>(key), packets1, n1, [](const LockedNew& v) { return v.n64; });
    }
    printf("increments %lu\n", total_.load());
    EXPECT_GT(total_, 1000u);
    EXPECT_EQ(packets0, total_);
    EXPECT_EQ(packets1, total_);
    EXPECT_EQ(n0, total_);
    EXPECT_EQ(n1, total_);
    EXPECT_EQ(skeleton_->bss->torn, 0u);
    EXPECT_EQ(lab_->sync().verify()->mismatched, 0u);
  }
  template <class T, class N>
  static void add(const std::optional<T>& value, uint64_t& packets, uint64_t& n, N of) {
    if (!value) return;
    packets += value->packets;
    n += of(*value);
  }
  struct Slot {
    std::thread thread;
    std::atomic<uint64_t> runs = 0;
    std::atomic<bool> ended = false;
  };
  Kind kind_ = Kind::kHash;
  sync_locks_bpf* skeleton_ = nullptr;
  std::unique_ptr<Lab> lab_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::atomic<uint64_t> total_ = 0;
  std::atomic<bool> stop_ = false;
};

class LockedWriters : public Locks, public testing::WithParamInterface<Kind> {};

TEST_P(LockedWriters, SixSwapsLoseNothing) {
  open(GetParam());
  if (GetParam() == Kind::kArray) {  // whose elements are zero, and no pair, until they are written
    for (uint32_t key = 0; key < 64; ++key) lab_->put0(key, LockedOld{});
    for (uint32_t key = 0; key < 64; ++key) lab_->put1(key, LockedNew{});
  }
  six_swaps(63);
}
INSTANTIATE_TEST_SUITE_P(Kinds, LockedWriters, testing::Values(Kind::kHash, Kind::kArray, Kind::kOldUnlocked, Kind::kNewUnlocked),
                         [](const auto& kind) {
                           switch (kind.param) {
                             case Kind::kHash: return "hash";
                             case Kind::kArray: return "array";
                             case Kind::kOldUnlocked: return "old_unlocked";
                             case Kind::kNewUnlocked: return "new_unlocked";
                           }
                           return "";
                         });

TEST_F(Locks, SixSwapsInSlices) {
  open(Kind::kHash, true);
  six_swaps(63);
}

// Two keys that all writers fight for: what is left to move is moved though the value never rests.
TEST_F(Locks, AKeyThatNeverRests) {
  open();
  six_swaps(1);
}

// Both generations at once, as in a canary.
TEST_F(Locks, BothGenerationsCountTheSameKeys) {
  open();
  skeleton_->bss->generation = 1;
  lab_->sync().enter(kNew);
  skeleton_->bss->order_only = 1;
  start(7);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  for (uint32_t n = 0; std::chrono::steady_clock::now() < until; ++n) {
    skeleton_->bss->order_only = 1 + n % 2;
    lab_->pass(kNew);
  }
  stop();
  EXPECT_GT(lab_->settle(kNew), 0);
  lab_->pass(kNew);
  skeleton_->bss->torn = 0;  // a pair that both wrote is a conflict: the new generation's
  expect_all(7);
}

TEST_F(Locks, KeysAndFieldsTravelBothWays) {
  open();
  lab_->put0(1, LockedOld{.n32 = 7, .packets = 100, .pair = 5, .pair_check = ~5ull, .n16 = 65000});
  EXPECT_GT(lab_->settle(kPre), 0);
  ASSERT_TRUE(lab_->get1<LockedNew>(1));
  EXPECT_EQ(lab_->get1<LockedNew>(1)->packets, 100u);
  EXPECT_EQ(lab_->get1<LockedNew>(1)->n16, 65000u);
  EXPECT_EQ(lab_->get1<LockedNew>(1)->pair_check, ~5ull);
  lab_->put1(1, LockedNew{.pair_check = ~6ull, .pair = 6, .n64 = 8, .packets = 101, .fresh = 9, .n16 = 65001});
  lab_->put1(2, LockedNew{.pair_check = ~2ull, .pair = 2, .n64 = 3, .packets = 4, .n16 = 5});
  EXPECT_GT(lab_->settle(kNew), 0);
  EXPECT_EQ(lab_->get0<LockedOld>(1)->packets, 101u);
  EXPECT_EQ(lab_->get0<LockedOld>(1)->pair, 6u);
  EXPECT_EQ(lab_->get0<LockedOld>(1)->n16, 65001u);
  ASSERT_TRUE(lab_->get0<LockedOld>(2));
  EXPECT_EQ(lab_->get0<LockedOld>(2)->n32, 3u);
  EXPECT_EQ(lab_->get1<LockedNew>(1)->fresh, 9u);
  EXPECT_EQ(lab_->sync().verify()->mismatched, 0u);
}

TEST_F(Locks, ADeletionTakesOnlyTheOldCount) {
  open();
  lab_->put0(1, LockedOld{.n32 = 7, .packets = 100});
  EXPECT_GT(lab_->settle(kPre), 0);
  lab_->erase0(1);
  lab_->put1(1, LockedNew{.n64 = 9, .packets = 103});
  EXPECT_GT(lab_->settle(kNew), 0);
  lab_->pass(kNew);
  ASSERT_TRUE(lab_->get0<LockedOld>(1));
  ASSERT_TRUE(lab_->get1<LockedNew>(1));
  EXPECT_EQ(lab_->get1<LockedNew>(1)->packets, 3u);
  EXPECT_EQ(lab_->get0<LockedOld>(1)->packets, 3u);
  EXPECT_EQ(lab_->get1<LockedNew>(1)->n64, 2u);
  lab_->erase1(1);
  EXPECT_GT(lab_->settle(kNew), 0);
  EXPECT_FALSE(lab_->get0<LockedOld>(1));
}

TEST_F(Locks, AValueOfAThousandFields) {
  open();
  constexpr size_t kFields = 1023;
  SyncSpec spec;
  spec.key_size = 4;
  spec.value_size0 = spec.value_size1 = 4 * (kFields + 1);
  spec.max_entries0 = spec.max_entries1 = 4096;
  spec.lock0 = spec.lock1 = 4 * kFields;
  for (size_t i = 0; i < kFields; ++i) spec.fields.push_back(field(i % 2 == 0 ? SyncOp::kSum : SyncOp::kLatest, 4, 4 * i, 4, 4 * i));
  Lab lab(bpffs_, spec, copy_of(skeleton_->maps.many0), copy_of(skeleton_->maps.many1));
  std::array<uint32_t, kFields + 1> value{};
  for (uint32_t i = 0; i < kFields; ++i) value[i] = i;
  lab.put0(1, value);
  EXPECT_GT(lab.settle(kPre), 0);
  ++value[2];
  lab.put1(1, value);
  EXPECT_GT(lab.settle(kNew), 0);
  lab.pass(kNew);
  value[kFields] = 0;
  EXPECT_EQ((lab.get0<std::array<uint32_t, kFields + 1>>(1)), value);
}

TEST_F(Locks, ALockWhereNoneCanBeIsRefused) {
  SyncSpec spec = spec_of(locked_old(MapType::kHash), locked_new(MapType::kHash), 64);
  spec.type0 = MapType::kLruHash;
  auto refused = open_linux_sync(spec, "/nowhere", "/nowhere", "/nowhere");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  spec.type0 = MapType::kHash;
  spec.lock0 = offsetof(LockedOld, packets);
  refused = open_linux_sync(spec, "/nowhere", "/nowhere", "/nowhere");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInternal);
}

}  // namespace
}  // namespace mapshift::test
