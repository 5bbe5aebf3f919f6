// SPDX-License-Identifier: Apache-2.0
// A handler brings what update calls write, without a pass. What it brings ends as passes alone would have ended it.
#include <chrono>
#include <random>

#include "writers.h"

namespace mapshift::test {
namespace {

class Follow : public SyncTest, public testing::WithParamInterface<MapType> {
 protected:
  static SyncSpec spec(bool follow) {
    SyncSpec out = example_spec(GetParam(), 8192, 8192);
    out.follow_writes = follow;
    return out;
  }
  // Lets the follower's thread run, and nothing else. The limit only ends a test that fails.
  template <class Arrived>
  static bool comes(Arrived arrived) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!arrived()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      std::this_thread::yield();
    }
    return true;
  }
  static bool state1_is(const Lab& lab, uint32_t key, uint32_t state) {
    const auto value = lab.get1<NewValue>(key);
    return value && value->state == state;
  }
  static bool state0_is(const Lab& lab, uint32_t key, uint32_t state) {
    const auto value = lab.get0<OldValue>(key);
    return value && value->state == state;
  }
};

TEST_P(Follow, SystemCallsArriveOneByOneWithoutAPass) {
  Lab lab(bpffs_, spec(true));
  if (!can_follow(lab)) GTEST_SKIP() << kCannotFollow;
  for (const SyncPhase phase : {SyncPhase::kPrecopy, SyncPhase::kLiveNew, SyncPhase::kLiveOld}) {
    lab.sync().enter(phase);
    for (uint32_t n = 1; n <= 100; ++n) {
      const uint32_t key = n % 10, state = static_cast<uint32_t>(phase) * 1000 + n;
      pin_to_cpu(n % cpu_count());
      if (phase != SyncPhase::kLiveNew || n % 2 == 0) {
        lab.put0(key, OldValue{n, n, state, n});
        ASSERT_TRUE(comes([&] { return state1_is(lab, key, state); })) << "phase " << int(phase) << " write " << n;
      } else {
        lab.put1(key, NewValue{state, 0, n, n, n});
        ASSERT_TRUE(comes([&] { return state0_is(lab, key, state); })) << "phase " << int(phase) << " write " << n;
      }
    }
  }
  const PassReport report = lab.pass(SyncPhase::kLiveOld);
  EXPECT_GE(report.followed, 300u);
  EXPECT_GT(report.changed, 0u);  // what was carried between two passes is in the report
  EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
}

TEST_P(Follow, ProgramsOnAllCpusArriveWithoutAPass) {
  Lab lab(bpffs_, spec(true));
  if (!can_follow(lab)) GTEST_SKIP() << kCannotFollow;
  lab.sync().enter(SyncPhase::kLiveNew);
  const auto keys = static_cast<uint32_t>(cpu_count()) * 500;
  for (const uint32_t side : {0u, 1u}) {
    const uint32_t state = 40 + side;
    Writers writers(lab, 0);
    for (uint32_t cpu = 0; cpu < cpu_count(); ++cpu) writers.start(cpu, {.count = 500, .mask = cpu * 500, .only = side + 1, .put = state}, 1);
    writers.join();
    ASSERT_EQ(writers.total(), keys);
    for (uint32_t key = 0; key < keys; ++key) {
      ASSERT_TRUE(comes([&] { return side == 0 ? state1_is(lab, key, state) : state0_is(lab, key, state); })) << key;
    }
  }
  EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
}

// Writes, deletions and passes in one order, of which the active side makes all: with and without the handler.
TEST_P(Follow, EndsAsPassesAloneWould) {
  Lab with(bpffs_, spec(true)), without(bpffs_, spec(false));
  if (!can_follow(with)) GTEST_SKIP() << kCannotFollow;
  can_follow(without);
  std::mt19937 random(7);
  for (uint32_t step = 0; step < 600; ++step) {
    const SyncPhase phase = static_cast<SyncPhase>(step / 200);
    if (step % 200 == 0) {
      for (Lab* lab : {&with, &without}) ASSERT_GT(lab->settle(phase), 0);
    }
    const uint32_t key = random() % 64, what = random() % 16;
    for (Lab* lab : {&with, &without}) {
      const bool on1 = phase == SyncPhase::kLiveNew;
      if (what == 0) lab->pass(phase);
      else if (what < 4 && GetParam() != MapType::kArray) on1 ? lab->erase1(key) : lab->erase0(key);
      else if (on1) lab->put1(key, NewValue{step, 0, step, step, step});
      else lab->put0(key, OldValue{step, step, step, step});
    }
  }
  for (Lab* lab : {&with, &without}) ASSERT_GT(lab->settle(SyncPhase::kLiveOld), 0);
  for (uint32_t key = 0; key < 64; ++key) {
    const auto a0 = with.get0<OldValue>(key), b0 = without.get0<OldValue>(key);
    const auto a1 = with.get1<NewValue>(key), b1 = without.get1<NewValue>(key);
    ASSERT_EQ(a0.has_value(), b0.has_value()) << key;
    ASSERT_EQ(a1.has_value(), b1.has_value()) << key;
    if (a0) {
      EXPECT_EQ(std::memcmp(&*a0, &*b0, sizeof *a0), 0) << key;
    }
    if (a1) {
      EXPECT_EQ(std::memcmp(&*a1, &*b1, sizeof *a1), 0) << key;
    }
  }
  EXPECT_EQ(with.sync().verify()->mismatched, 0u);
}

INSTANTIATE_TEST_SUITE_P(Types, Follow, testing::Values(MapType::kHash, MapType::kLruHash, MapType::kArray),
                         [](const auto& type) { return to_string(type.param); });

}  // namespace
}  // namespace mapshift::test
