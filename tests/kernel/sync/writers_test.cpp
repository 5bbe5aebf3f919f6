// SPDX-License-Identifier: Apache-2.0
// Writers on every CPU, and in interrupts, through swaps back and forth: not one increment may be lost or doubled.
#include <chrono>
#include <thread>

#include "writers.h"

namespace mapshift::test {
namespace {

using std::chrono::milliseconds;

struct Sums {
  uint64_t packets0 = 0, n32 = 0, packets1 = 0, n64 = 0;
};

class Concurrency : public SyncTest {
 protected:
  static constexpr uint32_t kMask = 1023;
  static Sums sums(const Lab& lab) {
    Sums out;
    for (uint32_t key = 0; key <= kMask; ++key) {
      for (const OldValue& v : lab.get_cpus0<OldValue>(key)) {
        out.packets0 += v.packets;
        out.n32 += v.n32;
      }
      for (const NewValue& v : lab.get_cpus1<NewValue>(key)) {
        out.packets1 += v.packets;
        out.n64 += v.n64;
      }
    }
    return out;
  }
  // Without a pause a handler's keys are all visited in passes.
  static void pass_for(Lab& lab, std::chrono::seconds duration, milliseconds pause = milliseconds(0)) {
    const auto until = std::chrono::steady_clock::now() + duration;
    while (std::chrono::steady_clock::now() < until) {
      lab.pass(SyncPhase::kLiveNew);
      if (pause != milliseconds(0)) std::this_thread::sleep_for(pause);
    }
  }
  static void expect_all(Lab& lab, const Writers& writers) {
    EXPECT_GT(lab.settle(SyncPhase::kLiveNew), 0);
    const Sums got = sums(lab);
    EXPECT_EQ(got.packets0, writers.total());
    EXPECT_EQ(got.packets1, writers.total());
    EXPECT_EQ(got.n32, writers.total());
    EXPECT_EQ(got.n64, writers.total());
  }
  // Swaps back and forth six times under load, then compares everything.
  // Returns how many keys a handler brought meanwhile.
  static uint64_t swap_back_and_forth(Lab& lab, Writers& writers, milliseconds stay) {
    uint64_t followed = 0;
    for (int n = 0; n < 3; ++n) lab.pass(SyncPhase::kPrecopy);
    for (uint32_t swap = 1; swap <= 6; ++swap) {
      const SyncPhase phase = swap % 2 == 1 ? SyncPhase::kLiveNew : SyncPhase::kLiveOld;
      lab.sync().enter(phase);
      writers.swap_to(swap % 2);
      lab.sync().pass_hot(phase);
      lab.pass(phase);  // old events are still ending
      writers.quiesce();
      EXPECT_GT(lab.settle(phase), 0) << "swap " << swap;
      for (const auto until = std::chrono::steady_clock::now() + stay; std::chrono::steady_clock::now() < until;) followed += lab.pass(phase).followed;
    }
    writers.stop();
    EXPECT_GT(lab.settle(SyncPhase::kLiveOld), 0);
    lab.pass(SyncPhase::kLiveOld);
    const Sums got = sums(lab);
    printf("increments %lu (in interrupts %lu)\n", writers.total(), writers.from_interrupts());
    EXPECT_EQ(got.packets0, writers.total());
    EXPECT_EQ(got.packets1, writers.total());
    EXPECT_EQ(got.n32, writers.total());
    EXPECT_EQ(got.n64, writers.total());
    EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
    return followed;
  }
};

struct Shared {
  MapType type;
  bool follow;  // a handler brings what update calls write
};

class SharedConcurrency : public Concurrency, public testing::WithParamInterface<Shared> {};

TEST_P(SharedConcurrency, SixSwapsLoseNothing) {
  SyncSpec spec = example_spec(GetParam().type, 8192, 8192);
  spec.follow_writes = GetParam().follow;
  Lab lab(bpffs_, spec);
  if (GetParam().follow && !can_follow(lab)) GTEST_SKIP() << kCannotFollow;
  Writers writers(lab, kMask, GetParam().follow ? newest_map("ms_written") : Fd());
  for (size_t cpu = 0; cpu < cpu_count(); ++cpu) {
    writers.start(cpu, {.mask = kMask});
    if (!writers.start_interrupts(cpu)) printf("no CPU clock events here: no interrupt writers\n");
  }
  if (GetParam().follow) writers.start(cpu_count() - 1, {.count = 64, .mask = 4096, .put = 7});
  // Counted keys are brought as well, at any moment of their counting, though no update call writes them.
  if (GetParam().follow) writers.start(0, {.mask = kMask}, UINT64_MAX, true);
  const uint64_t followed = swap_back_and_forth(lab, writers, milliseconds(100));
  printf("brought by the handler: %lu\n", followed);
  EXPECT_EQ(followed > 100, GetParam().follow);
}
INSTANTIATE_TEST_SUITE_P(Types, SharedConcurrency, testing::Values(Shared{MapType::kHash, false}, Shared{MapType::kLruHash, false}, Shared{MapType::kArray, false},
                                                                   Shared{MapType::kHash, true}, Shared{MapType::kLruHash, true}, Shared{MapType::kArray, true}),
                         [](const auto& shared) { return to_string(shared.param.type) + (shared.param.follow ? "_followed" : ""); });

class PerCpuConcurrency : public Concurrency, public testing::WithParamInterface<MapType> {};

// Plain increments: exact, for a pass writes a CPU's slot with one instruction, on that CPU.
TEST_P(PerCpuConcurrency, SixSwapsLoseNothing) {
  Lab lab(bpffs_, example_spec(GetParam(), 1024, 1024));
  Writers writers(lab, 15);  // few keys, so that passes and interrupts meet
  for (size_t cpu = 0; cpu < cpu_count(); ++cpu) ASSERT_TRUE(writers.start_interrupts(cpu, true));
  (void)swap_back_and_forth(lab, writers, milliseconds(300));
}
// Both generations count in the same interrupts, so every pass writes to both sides of every slot.
TEST_P(PerCpuConcurrency, BothGenerationsAtOnce) {
  Lab lab(bpffs_, example_spec(GetParam(), 1024, 1024));
  for (uint32_t key = 0; key < 16; ++key) lab.put_cpus0(key, std::vector<OldValue>(cpu_count()));
  lab.settle(SyncPhase::kPrecopy);
  Writers writers(lab, 15);
  for (size_t cpu = 0; cpu < cpu_count(); ++cpu) ASSERT_TRUE(writers.start_interrupts(cpu, true, true));
  pass_for(lab, std::chrono::seconds(2));
  writers.stop();
  expect_all(lab, writers);
}
INSTANTIATE_TEST_SUITE_P(Types, PerCpuConcurrency, testing::Values(MapType::kPercpuHash, MapType::kPercpuArray),
                         [](const auto& type) { return to_string(type.param); });

class Handler : public Concurrency, public testing::WithParamInterface<bool> {};

// Keys that come and go beside them must not touch those that stay.
TEST_P(Handler, ChurnLeavesOtherKeysAlone) {
  SyncSpec spec = example_spec(MapType::kHash, 8192, 8192);
  spec.follow_writes = GetParam();
  Lab lab(bpffs_, spec);
  if (GetParam() && !can_follow(lab)) GTEST_SKIP() << kCannotFollow;
  for (uint32_t key = 0; key <= kMask; ++key) lab.put0(key, OldValue{});
  Writers writers(lab, kMask);
  writers.start(0, {.mask = kMask});
  writers.start(cpu_count() - 1, {.mask = kMask, .churn = 1});
  (void)swap_back_and_forth(lab, writers, milliseconds(100));
}

// As in a canary: both generations run, on the same few keys, and every pass and visit writes to both sides.
TEST_P(Handler, BothGenerationsAtOnce) {
  SyncSpec spec = example_spec(MapType::kHash, 8192, 8192);
  spec.follow_writes = GetParam();
  Lab lab(bpffs_, spec);
  if (GetParam() && !can_follow(lab)) GTEST_SKIP() << kCannotFollow;
  Writers writers(lab, 7, GetParam() ? newest_map("ms_written") : Fd());
  lab.sync().enter(SyncPhase::kLiveNew);
  writers.start(0, {.mask = 7, .only = 1});
  writers.start(cpu_count() - 1, {.mask = 7, .only = 2});
  if (GetParam()) {
    writers.start(0, {.count = 20, .mask = 7}, UINT64_MAX, true);
    writers.start(cpu_count() - 1, {.count = 2, .mask = 4096, .put = 7});  // rings
  }
  pass_for(lab, std::chrono::seconds(2), milliseconds(GetParam() ? 50 : 0));
  writers.stop();
  expect_all(lab, writers);
}
INSTANTIATE_TEST_SUITE_P(Follow, Handler, testing::Bool(), [](const auto& follow) { return follow.param ? "on" : "off"; });

// Churn on the active side moves nothing from the passive one: an update must settle beside it.
TEST_F(Concurrency, ChurnOnTheActiveSideSettles) {
  Lab lab(bpffs_, example_spec(MapType::kHash, 8192, 8192));
  Writers writers(lab, kMask);
  writers.start(0, {.mask = kMask, .churn = 1});
  for (int n = 0; n < 3; ++n) lab.pass(SyncPhase::kPrecopy);
  writers.swap_to(1);
  writers.quiesce();
  EXPECT_GT(lab.settle(SyncPhase::kLiveNew), 0);
}

// A growing base that is swept while keys come and go: no key that stays is doubled.
TEST_F(Concurrency, SweepsUnderChurn) {
  Lab lab(bpffs_, example_spec(MapType::kHash, 2048, 2048));
  for (uint32_t key = 0; key < 512; ++key) lab.put0(key, OldValue{key, 0, 0, key});
  Writers writers(lab, 511);
  writers.start(0, {.mask = 0xffff, .churn = 1});
  for (int n = 0; n < 40; ++n) lab.pass(SyncPhase::kPrecopy);
  writers.stop();
  EXPECT_GT(lab.settle(SyncPhase::kPrecopy), 0);
  for (uint32_t key = 0; key < 512; ++key) EXPECT_EQ(lab.get1<NewValue>(key)->packets, key);
  EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
}

}  // namespace
}  // namespace mapshift::test
