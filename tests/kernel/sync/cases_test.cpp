// SPDX-License-Identifier: Apache-2.0
// The deterministic cases D1 to D9 that broke a plainer engine, and their mirror images after a rollback.
#include "lab.h"

namespace mapshift::test {
namespace {

constexpr SyncPhase kPre = SyncPhase::kPrecopy, kNew = SyncPhase::kLiveNew, kOld = SyncPhase::kLiveOld;

class Cases : public SyncTest {
 protected:
  // A key that both sides hold, with its base.
  Lab& start(const OldValue& value, MapType type = MapType::kHash) {
    lab_ = std::make_unique<Lab>(bpffs_, example_spec(type, 64, 64));
    lab_->put0(1, value);
    EXPECT_GT(lab_->settle(kPre), 0);
    return *lab_;
  }
  void expect_packets(uint64_t packets) {
    ASSERT_TRUE(lab_->get0<OldValue>(1) && lab_->get1<NewValue>(1));
    EXPECT_EQ(lab_->get0<OldValue>(1)->packets, packets);
    EXPECT_EQ(lab_->get1<NewValue>(1)->packets, packets);
  }
  void expect_absent() {
    EXPECT_FALSE(lab_->get0<OldValue>(1));
    EXPECT_FALSE(lab_->get1<NewValue>(1));
  }
  std::unique_ptr<Lab> lab_;
};

TEST_F(Cases, D1LateDeletionTakesOnlyTheOldCount) {
  Lab& lab = start({100, 0, 1, 0});
  lab.erase0(1);
  lab.put1(1, NewValue{1, 0, 0, 105, 0});
  EXPECT_GT(lab.settle(kNew), 0);
  expect_packets(5);
}

TEST_F(Cases, D1AfterARollback) {
  Lab& lab = start({100, 0, 1, 0});
  EXPECT_GT(lab.settle(kNew), 0);
  lab.erase1(1);
  lab.put0(1, OldValue{105, 0, 1, 0});
  EXPECT_GT(lab.settle(kOld), 0);
  expect_packets(5);
}

TEST_F(Cases, D2RecreatedKeyResetsAMaximum) {
  for (const SyncPhase phase : {kPre, kOld}) {
    Lab& lab = start({100, 1000, 1, 0});
    lab.erase0(1);
    lab.put0(1, OldValue{3, 7, 1, 0});
    EXPECT_GT(lab.settle(phase), 0);
    expect_packets(3);
    EXPECT_EQ(lab.get0<OldValue>(1)->last, 7u);
    EXPECT_EQ(lab.get1<NewValue>(1)->last, 7u);
  }
}

TEST_F(Cases, D3NarrowCounterRestarts) {
  for (const SyncPhase phase : {kPre, kOld}) {
    Lab& lab = start({0, 0, 0, 100});
    lab.erase0(1);
    lab.put0(1, OldValue{0, 0, 0, 1});
    EXPECT_GT(lab.settle(phase), 0);
    EXPECT_EQ(lab.get1<NewValue>(1)->n64, 1u);
    EXPECT_EQ(lab.get0<OldValue>(1)->n32, 1u);
  }
}

TEST_F(Cases, D3NarrowCounterWraps) {
  for (const SyncPhase phase : {kPre, kNew, kOld}) {
    Lab& lab = start({0, 0, 0, 4294967290u});
    lab.put0(1, OldValue{0, 0, 0, 4});
    EXPECT_GT(lab.settle(phase), 0);
    EXPECT_EQ(lab.get1<NewValue>(1)->n64, 4294967300u);
    EXPECT_EQ(lab.get0<OldValue>(1)->n32, 4u);
  }
}

TEST_F(Cases, D4GoneFromBothThenAddedAnew) {
  Lab& lab = start({100, 0, 0, 0});
  lab.erase0(1);
  lab.erase1(1);
  lab.put1(1, NewValue{0, 0, 0, 9, 0});
  EXPECT_GT(lab.settle(kNew), 0);
  expect_packets(9);
}

// The limit that plans declare: a change that was taken back within one visit is not seen, so the late one wins.
TEST_F(Cases, D5AValueThatChangesAndChangesBack) {
  Lab& lab = start({0, 0, 1, 0});
  lab.put0(1, OldValue{0, 0, 2, 0});
  lab.put1(1, NewValue{3, 0, 0, 0, 0});
  lab.put1(1, NewValue{1, 0, 0, 0, 0});
  EXPECT_GT(lab.settle(kNew), 0);
  EXPECT_EQ(lab.get0<OldValue>(1)->state, 2u);
  EXPECT_EQ(lab.get1<NewValue>(1)->state, 2u);
}

TEST_F(Cases, D6AbsenceOnTheNewSideBeforeTheSwapIsNoDeletion) {
  Lab& lab = start({50, 0, 0, 0});
  lab.erase1(1);
  EXPECT_GT(lab.settle(kPre), 0);
  expect_packets(50);
}

TEST_F(Cases, D7DeletionOnTheActiveSideWinsOverALateCount) {
  Lab& lab = start({50, 0, 0, 0});
  lab.put0(1, OldValue{54, 0, 0, 0});
  lab.erase1(1);
  EXPECT_GT(lab.settle(kNew), 0);
  lab.settle(kNew);
  expect_absent();
}

TEST_F(Cases, D7CountsWhatItDropped) {
  Lab& lab = start({50, 0, 0, 0});
  lab.put0(1, OldValue{54, 0, 0, 0});
  lab.erase1(1);
  uint64_t dropped = 0;
  for (int n = 0; n < 3; ++n) dropped += lab.pass(kNew).dropped_deltas;
  EXPECT_EQ(dropped, 1u);
}

TEST_F(Cases, D8DeletedAndAddedAgainWithinAVisit) {
  Lab& lab = start({50, 0, 0, 0});
  EXPECT_GT(lab.settle(kNew), 0);
  lab.erase1(1);
  lab.put1(1, NewValue{0, 0, 0, 2, 0});
  lab.put0(1, OldValue{54, 0, 0, 0});
  EXPECT_GT(lab.settle(kNew), 0);
  expect_packets(6);
}

TEST_F(Cases, D9GoneFromBothForgetsItsValues) {
  for (const SyncPhase phase : {kPre, kNew, kOld}) {
    Lab& lab = start({100, 0, 0, 0});
    lab.erase0(1);
    lab.erase1(1);
    lab.pass(phase);
    lab.put0(1, OldValue{3, 0, 0, 0});
    if (phase != kPre) lab.put1(1, NewValue{0, 0, 0, 4, 0});
    EXPECT_GT(lab.settle(phase), 0);
    expect_packets(phase == kPre ? 3 : 7);
  }
}

}  // namespace
}  // namespace mapshift::test
