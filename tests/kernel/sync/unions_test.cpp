// SPDX-License-Identifier: Apache-2.0
// Unions whose discriminator says which member a value holds: converted and merged member by member, exact under writers.
#include <bpf/libbpf.h>
#include <fcntl.h>

#include <atomic>
#include <memory>
#include <thread>

#include "lab.h"
#include "sync_unions.skel.h"

namespace mapshift::test {
namespace {

constexpr SyncPhase kPre = SyncPhase::kPrecopy, kNew = SyncPhase::kLiveNew, kOld = SyncPhase::kLiveOld;
constexpr uint32_t kA = 1, kB = 2;

struct OldA { uint64_t count, check; };
struct OldB { uint32_t flags, count; uint64_t check; };
struct Old {
  uint32_t kind = 0, state = 0;
  union { OldA a; OldB b; uint64_t words[2] = {}; };
};
struct NewB { uint32_t flags, more; uint64_t check, count; };
struct NewA { uint64_t check, count; };
struct New {
  uint64_t fresh = 0;
  union { NewB b; NewA a; uint64_t words[3] = {}; };
  uint32_t state = 0, kind = 0;
};
struct OldHeld { uint32_t lock = 0, spare = 0; Old v; };
struct NewHeld { New v; uint32_t spare = 0, lock = 0; };

SyncField arm_field(uint8_t arm, SyncOp op, size_t size0, size_t offset0, size_t size1, size_t offset1) {
  SyncField out = field(op, size0, offset0, size1, offset1);
  out.in_union = 1;
  out.arm = arm;
  return out;
}

// `check` is a plain word where nothing holds it together with its count. `at0` and `at1`: where the value begins.
SyncSpec spec_of(size_t at0, size_t at1, uint32_t size0, uint32_t size1) {
  SyncSpec spec;
  spec.key_size = 4;
  spec.value_size0 = size0;
  spec.value_size1 = size1;
  spec.max_entries0 = spec.max_entries1 = 4096;
  const auto in_old = [&](size_t offset) { return at0 + offset; };
  const auto in_new = [&](size_t offset) { return at1 + offset; };
  spec.fields = {arm_field(1, SyncOp::kSum, 8, in_old(offsetof(Old, a.count)), 8, in_new(offsetof(New, a.count))),
                 arm_field(1, SyncOp::kLatest, 8, in_old(offsetof(Old, a.check)), 8, in_new(offsetof(New, a.check))),
                 arm_field(2, SyncOp::kOr, 4, in_old(offsetof(Old, b.flags)), 4, in_new(offsetof(New, b.flags))),
                 arm_field(2, SyncOp::kSum, 4, in_old(offsetof(Old, b.count)), 8, in_new(offsetof(New, b.count))),
                 arm_field(2, SyncOp::kLatest, 8, in_old(offsetof(Old, b.check)), 8, in_new(offsetof(New, b.check))),
                 arm_field(0, SyncOp::kLatest, 8, in_old(offsetof(Old, words)), 8, in_new(offsetof(New, words))),
                 arm_field(0, SyncOp::kLatest, 8, in_old(offsetof(Old, words) + 8), 8, in_new(offsetof(New, words) + 8)),
                 arm_field(kDiscriminator, SyncOp::kLatest, 4, in_old(offsetof(Old, kind)), 4, in_new(offsetof(New, kind))),
                 field(SyncOp::kLatest, 4, in_old(offsetof(Old, state)), 4, in_new(offsetof(New, state)))};
  SyncUnion one{static_cast<uint16_t>(in_old(offsetof(Old, kind))), static_cast<uint16_t>(in_new(offsetof(New, kind))), 4, 4};
  one.values = {{kA, kA, 1}, {kB, kB, 2}};
  spec.unions = {one};
  return spec;
}
SyncSpec plain_spec() { return spec_of(0, 0, sizeof(Old), sizeof(New)); }

Old old_a(uint64_t count, uint64_t check) { Old v; v.kind = kA; v.a = {count, check}; return v; }
Old old_b(uint32_t flags, uint32_t count, uint64_t check) { Old v; v.kind = kB; v.b = {flags, count, check}; return v; }
New new_a(uint64_t count, uint64_t check) { New v; v.kind = kA; v.a = {check, count}; return v; }
New new_b(uint32_t flags, uint64_t count, uint64_t check) { New v; v.kind = kB; v.b = {flags, 0, check, count}; return v; }

class Unions : public SyncTest {
 protected:
  void open(const SyncSpec& spec) { lab_ = std::make_unique<Lab>(bpffs_, spec); }
  Old get0(uint32_t key) const { return lab_->get0<Old>(key).value_or(Old{}); }
  New get1(uint32_t key) const { return lab_->get1<New>(key).value_or(New{}); }
  void settle(SyncPhase phase) {
    EXPECT_GT(lab_->settle(phase), 0);
    EXPECT_EQ(lab_->sync().verify()->mismatched, 0u);
  }
  std::unique_ptr<Lab> lab_;
};

TEST_F(Unions, MembersAreConvertedByWhatTheDiscriminatorSays) {
  open(plain_spec());
  lab_->put0(1, old_a(~0ull, 5));
  lab_->put0(2, old_b(3, 0xFFFFFFFF, 6));
  settle(kPre);
  EXPECT_EQ(get1(1).kind, kA);
  EXPECT_EQ(get1(1).a.count, ~0ull);
  EXPECT_EQ(get1(1).a.check, 5u);
  EXPECT_EQ(get1(1).words[2], 0u) << "nothing of another key's member";
  EXPECT_EQ(get1(2).b.count, 0xFFFFFFFFu);
  EXPECT_EQ(get1(2).b.flags, 3u);
  EXPECT_EQ(get1(2).b.check, 6u);
  lab_->put1(3, new_b(8, 9, 10));
  settle(kNew);
  EXPECT_EQ(get0(3).b.count, 9u);
  EXPECT_EQ(get0(3).b.flags, 8u);
}

TEST_F(Unions, BothSidesAddToTheMemberThatTheyShare) {
  open(plain_spec());
  lab_->put0(1, old_a(100, 5));
  lab_->put0(2, old_b(1, 50, 6));
  settle(kPre);
  lab_->put0(1, old_a(103, 5));
  lab_->put1(1, new_a(110, 5));
  lab_->put0(2, old_b(1 | 2, 51, 6));
  New b = new_b(1 | 4, 57, 7);
  lab_->put1(2, b);
  settle(kNew);
  EXPECT_EQ(get0(1).a.count, 113u);
  EXPECT_EQ(get1(1).a.count, 113u);
  EXPECT_EQ(get0(2).b.count, 58u);
  EXPECT_EQ(get1(2).b.count, 58u);
  EXPECT_EQ(get0(2).b.flags, 7u);
  EXPECT_EQ(get0(2).b.check, 7u);
}

TEST_F(Unions, AMemberThatTakesOverTravelsWhole) {
  open(plain_spec());
  lab_->put0(1, old_a(100, 5));
  settle(kPre);
  lab_->put0(1, old_b(1, 50, 6));  // before the swap
  settle(kPre);
  EXPECT_EQ(get1(1).kind, kB);
  EXPECT_EQ(get1(1).b.count, 50u);
  lab_->put1(1, new_a(7, 8));  // on the active side
  settle(kNew);
  EXPECT_EQ(get0(1).kind, kA);
  EXPECT_EQ(get0(1).a.count, 7u);
  EXPECT_EQ(get0(1).a.check, 8u);
  lab_->put0(1, old_b(2, 3, 4));  // a late one of the passive side
  settle(kNew);
  EXPECT_EQ(get1(1).kind, kB);
  EXPECT_EQ(get1(1).b.count, 3u);
  lab_->put0(1, old_b(2, 13, 4));  // and from then on its counts
  lab_->put1(1, new_b(2, 4, 4));
  settle(kNew);
  EXPECT_EQ(get0(1).b.count, 14u);
}

TEST_F(Unions, WhereBothChangedTheDiscriminatorTheActiveSideWinsWhole) {
  for (const SyncPhase phase : {kNew, kOld}) {
    open(plain_spec());
    lab_->put0(1, old_a(100, 5));
    settle(kPre);
    Old mine = old_b(1, 50, 6);
    lab_->put0(1, mine);
    New other = new_a(7, 8);
    other.kind = 9;  // a value that nobody declared
    other.words[0] = 77;
    lab_->put1(1, other);
    settle(phase);
    EXPECT_GT(lab_->settled().conflicts, 0u);
    if (phase == kNew) {
      EXPECT_EQ(get0(1).kind, 9u);
      EXPECT_EQ(get0(1).words[0], 77u);
    } else {
      EXPECT_EQ(get1(1).kind, kB);
      EXPECT_EQ(get1(1).b.count, 50u);
    }
  }
}

TEST_F(Unions, ValuesThatAreNotDeclaredAreCountedAndCarriedAsBytesOrNotAtAll) {
  for (const bool zero : {false, true}) {
    SyncSpec spec = plain_spec();
    for (SyncField& f : spec.fields)
      if (f.in_union != 0 && f.arm == 0) f.zero = zero;
    open(spec);
    Old odd = old_a(11, 12);
    odd.kind = 9;
    lab_->put0(1, odd);
    lab_->put0(2, old_a(1, 2));
    uint64_t undeclared = 0;
    for (int n = 0; n < 4; ++n) undeclared += lab_->pass(kPre).undeclared;
    EXPECT_EQ(undeclared, 1u);
    EXPECT_EQ(get1(1).kind, 9u);
    EXPECT_EQ(get1(1).words[0], zero ? 0u : 11u);
    EXPECT_EQ(get1(1).words[1], zero ? 0u : 12u);
    odd.kind = kA;
    lab_->put0(1, odd);
    settle(kPre);
    EXPECT_EQ(get1(1).a.count, 11u) << "the discriminator names a member again";
  }
}

TEST_F(Unions, EnumeratorsThatMovedNameTheSameMember) {
  SyncSpec spec = plain_spec();
  spec.unions[0].values = {{kA, kB, 1}, {kB, kA, 2}};
  spec.remaps = {{{{kA, kB}, {kB, kA}}}};
  for (SyncField& f : spec.fields)
    if (f.arm == kDiscriminator) f.remap = 0;
  open(spec);
  lab_->put0(1, old_a(100, 5));
  settle(kPre);
  EXPECT_EQ(get1(1).kind, kB);
  EXPECT_EQ(get1(1).a.count, 100u);
  New grown = get1(1);
  grown.a.count += 4;
  lab_->put1(1, grown);
  settle(kNew);
  EXPECT_EQ(get0(1).kind, kA);
  EXPECT_EQ(get0(1).a.count, 104u);
}

TEST_F(Unions, ADeletionTakesTheCountsOfTheMemberInUse) {
  open(plain_spec());
  lab_->put0(1, old_b(1, 50, 6));
  lab_->put0(2, old_b(1, 50, 6));
  settle(kPre);
  lab_->erase0(1);
  lab_->put1(1, new_b(1, 53, 6));
  lab_->erase0(2);
  lab_->put1(2, new_a(4, 4));  // the count of another member: nothing of the old one is in it
  EXPECT_GT(lab_->settle(kNew), 0);
  lab_->pass(kNew);
  EXPECT_EQ(get1(1).b.count, 3u);
  EXPECT_EQ(get0(1).b.count, 3u);
  EXPECT_EQ(get1(2).a.count, 4u);
  EXPECT_EQ(get0(2).a.count, 4u);
}

TEST_F(Unions, EachCpuHasItsOwnMember) {
  SyncSpec spec = plain_spec();
  spec.type0 = spec.type1 = MapType::kPercpuHash;
  open(spec);
  std::vector<Old> values(cpu_count(), old_a(10, 1));
  values[0] = old_b(1, 20, 2);
  lab_->put_cpus0(1, values);
  settle(kPre);
  EXPECT_EQ(lab_->get_cpus1<New>(1).at(0).b.count, 20u);
  if (values.size() > 1) {
    EXPECT_EQ(lab_->get_cpus1<New>(1).at(1).a.count, 10u);
  }
  auto news = lab_->get_cpus1<New>(1);
  news[0] = new_a(5, 5);
  lab_->put_cpus1(1, news);
  settle(kNew);
  EXPECT_EQ(lab_->get_cpus0<Old>(1).at(0).a.count, 5u);
}

TEST_F(Unions, TablesThatContradictThemselvesAreRefused) {
  const auto code = [&](const SyncSpec& spec) {
    const auto opened = open_linux_sync(spec, "/nowhere", "/nowhere", "/nowhere");
    return opened ? ErrorCode::kConflict : opened.error().code;
  };
  SyncSpec late = plain_spec();
  std::swap(late.fields[0], late.fields[7]);
  EXPECT_EQ(code(late), ErrorCode::kInternal) << "the discriminator before its members";
  SyncSpec grouped = plain_spec();
  grouped.fields[1].group = 3;
  EXPECT_EQ(code(grouped), ErrorCode::kInternal);
  SyncSpec nowhere = plain_spec();
  nowhere.fields[1].in_union = 2;
  EXPECT_EQ(code(nowhere), ErrorCode::kInternal);
  SyncSpec outside = plain_spec();
  outside.unions[0].offset1 = 4000;
  EXPECT_EQ(code(outside), ErrorCode::kInternal);
  SyncSpec many = plain_spec();
  many.unions.resize(17, many.unions[0]);
  EXPECT_EQ(code(many), ErrorCode::kUnsupported);
}

// ---- writers on all CPUs ----

class UnionWriters : public SyncTest, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    SyncTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    skeleton_ = sync_unions_bpf::open_and_load();
    ASSERT_NE(skeleton_, nullptr);
    skeleton_->bss->order_count = 500;
    held_ = GetParam();
    SyncSpec spec = held_ ? spec_of(offsetof(OldHeld, v), offsetof(NewHeld, v), sizeof(OldHeld), sizeof(NewHeld)) : plain_spec();
    if (held_) {
      // Both generations count in the moment of a swap: only what adds up belongs together then.
      spec.fields[1].op = spec.fields[4].op = SyncOp::kSum;
      spec.lock0 = offsetof(OldHeld, lock);
      spec.lock1 = offsetof(NewHeld, lock);
    }
    const auto copy = [](const bpf_map* map) { return Fd(fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 3)); };
    lab_ = std::make_unique<Lab>(bpffs_, spec, copy(held_ ? skeleton_->maps.old_held : skeleton_->maps.old_plain),
                                 copy(held_ ? skeleton_->maps.new_held : skeleton_->maps.new_plain));
  }
  void TearDown() override {
    stop();
    sync_unions_bpf::destroy(skeleton_);
  }
  void start(uint32_t mask) {
    stop_ = false;
    skeleton_->bss->order_mask = mask;
    for (size_t cpu = 0; cpu < cpu_count(); ++cpu) {
      auto& slot = *slots_.emplace_back(std::make_unique<Slot>());
      slot.thread = std::thread([this, cpu, &slot] {
        pin_to_cpu(cpu);
        char frame[64] = {};
        const bpf_program* program = held_ ? skeleton_->progs.count_many_held : skeleton_->progs.count_many_plain;
        while (!stop_) {
          LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof frame);
          if (bpf_prog_test_run_opts(bpf_program__fd(program), &options) != 0) break;
          total_ += options.retval;
          ++slot.runs;
        }
        slot.ended = true;
      });
    }
  }
  void quiesce(uint64_t runs = 2) {
    for (const auto& slot : slots_) {
      for (const uint64_t from = slot->runs; slot->runs < from + runs && !slot->ended;) std::this_thread::yield();
    }
  }
  void stop() {
    stop_ = true;
    for (const auto& slot : slots_) slot->thread.join();
    slots_.clear();
  }
  void expect_all(uint32_t mask) {
    uint64_t counted0 = 0, counted1 = 0;
    for (uint32_t key = 0; key <= mask; ++key) {
      const Old v0 = held_ ? lab_->get0<OldHeld>(key).value_or(OldHeld{}).v : lab_->get0<Old>(key).value_or(Old{});
      const New v1 = held_ ? lab_->get1<NewHeld>(key).value_or(NewHeld{}).v : lab_->get1<New>(key).value_or(New{});
      EXPECT_EQ(v0.kind, v1.kind);
      counted0 += v0.kind == kA ? v0.a.count : v0.b.count;
      counted1 += v1.kind == kA ? v1.a.count : v1.b.count;
    }
    printf("increments %lu\n", total_.load());
    EXPECT_GT(total_, 1000u);
    EXPECT_EQ(counted0, total_);
    EXPECT_EQ(counted1, total_);
    EXPECT_EQ(skeleton_->bss->torn, 0u);
    EXPECT_EQ(lab_->sync().verify()->mismatched, 0u);
  }
  struct Slot {
    std::thread thread;
    std::atomic<uint64_t> runs = 0;
    std::atomic<bool> ended = false;
  };
  bool held_ = false;
  sync_unions_bpf* skeleton_ = nullptr;
  std::unique_ptr<Lab> lab_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::atomic<uint64_t> total_ = 0;
  std::atomic<bool> stop_ = false;
};

TEST_P(UnionWriters, SixSwapsLoseNothing) {
  start(63);
  quiesce(4);  // every key is there: one that both generations made would have the first `check` of each
  for (int n = 0; n < 3; ++n) lab_->pass(kPre);
  for (uint32_t swap = 1; swap <= 6; ++swap) {
    const SyncPhase phase = swap % 2 == 1 ? kNew : kOld;
    lab_->sync().enter(phase);
    skeleton_->bss->generation = swap % 2;
    lab_->sync().pass_hot(phase);
    lab_->pass(phase);
    quiesce();
    EXPECT_GT(lab_->settle(phase), 0) << "swap " << swap;
    for (int n = 0; n < 20; ++n) lab_->pass(phase);
  }
  stop();
  EXPECT_GT(lab_->settle(kOld), 0);
  lab_->pass(kOld);
  skeleton_->bss->torn = 0;  // a check belongs to what one generation counted: where both did, around a swap, the counts add up and it does not
  expect_all(63);
}

// Keys change their kind all the time, which takes a lock: a discriminator and its member are two stores. One generation counts
// after the other.
class LockedUnionWriters : public UnionWriters {};
TEST_P(LockedUnionWriters, KindsThatChangeTakeTheirCountsAlong) {
  skeleton_->bss->order_switch = 8;
  for (const SyncPhase phase : {kPre, kNew, kOld, kNew}) {
    if (phase != kPre) lab_->sync().enter(phase);
    skeleton_->bss->generation = phase == kNew ? 1 : 0;
    start(15);
    for (int n = 0; n < 40; ++n) lab_->pass(phase);
    quiesce(20);
    stop();
    EXPECT_GT(lab_->settle(phase), 0);
    lab_->pass(phase);
    expect_all(15);
  }
}

INSTANTIATE_TEST_SUITE_P(Values, UnionWriters, testing::Values(false, true), [](const auto& held) { return held.param ? "locked" : "plain"; });

INSTANTIATE_TEST_SUITE_P(Values, LockedUnionWriters, testing::Values(true), [](const auto&) { return "locked"; });

}  // namespace
}  // namespace mapshift::test
