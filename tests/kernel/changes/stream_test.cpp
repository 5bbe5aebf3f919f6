// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>
#include <thread>

#include "lab.h"

namespace mapshift::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kInstrumented = Source::kInstrumented;

class StreamTest : public ChangesTest {
 protected:
  void begin(uint64_t ring_bytes = 1u << 20, size_t history = 1u << 15) {
    start(ring_bytes, history);
    load_writers();
    ASSERT_TRUE(ok(stream_->watch(watch_of("logged", {kInstrumented}))));
  }
  [[nodiscard]] uint64_t version() const { return stream_->version({"m", "logged"}).value_or(0); }
  // The reader has read what was written by now.
  [[nodiscard]] bool drained() const {
    return eventually([this] {
      const MapReport now = report("logged");
      uint64_t seen = now.lost;
      for (const auto& op : now.seen) seen = std::accumulate(op.begin(), op.end(), seen);
      return seen == now.version - first_;
    });
  }
  uint64_t first_ = 0;
};

TEST_F(StreamTest, NothingIsLostBetweenAProgramAndASubscriber) {
  begin();
  const uint64_t before = version();
  const auto subscription = subscribe("logged");
  for (int i = 0; i < 20; ++i) writers_->update(0, 1000);
  const Got got = read(*subscription, 20'000);
  ASSERT_THAT(got.changes, SizeIs(20'000));
  EXPECT_THAT(got.resyncs, IsEmpty());
  std::vector<uint64_t> expected(20'000);
  std::iota(expected.begin(), expected.end(), before + 1);
  EXPECT_EQ(got.numbers(), expected);
  EXPECT_EQ(report("logged").lost, 0u);
}

TEST_F(StreamTest, WritersOnAllCpusLoseNothing) {
  begin(1u << 24, 1u << 17);
  const uint64_t before = version();
  const auto subscription = subscribe("logged");
  const Writers* writers = writers_.get();
  writers_->object().bss->first = 0;
  writers_->object().bss->count = 20'000;
  std::thread other([writers] { writers->run(writers->object().progs.update, 0, 20'000); });
  writers->run(writers->object().progs.update, 0, 20'000);
  other.join();
  const Got got = read(*subscription, 40'000);
  auto numbers = got.numbers();
  std::ranges::sort(numbers);
  ASSERT_THAT(numbers, SizeIs(40'000));
  EXPECT_THAT(got.resyncs, IsEmpty());
  EXPECT_EQ(numbers.front(), before + 1);
  EXPECT_EQ(numbers.back(), before + 40'000);
  EXPECT_EQ(report("logged").late, 0u);
}

// Loss at the first place: no room in the ring. 4096 bytes hold 85 records, and 1000 come in one go.
TEST_F(StreamTest, AFullRingIsCountedAndTold) {
  begin(4096);
  const uint64_t before = version();
  first_ = before;
  const auto subscription = subscribe("logged");
  writers_->object().data->mask = 15;
  uint64_t written = 0, told = 0, told_lost = 0;
  // A reader that runs on another CPU all the time may keep up: until it does not.
  for (int round = 0; round < 5 || (round < 500 && told_lost == 0); ++round) {
    writers_->update(0, 5000);
    written += 5000;
    EXPECT_EQ(version(), before + written) << "each change has its number, lost or not";
    ASSERT_TRUE(drained());
    const Got got = read(*subscription, 5000);
    told += got.changes.size();
    told_lost += got.lost();
    for (const auto& one : got.resyncs) EXPECT_EQ(one.reason, "lost");
  }
  const MapReport now = report("logged");
  EXPECT_GT(now.lost, 0u);
  EXPECT_EQ(now.lost_by.at("ring_full"), now.lost) << "the kernel's counters and the gaps agree";
  EXPECT_EQ(told + told_lost, written);
  EXPECT_EQ(told_lost, now.lost);
  EXPECT_EQ(now.late, 0u);
}

// Loss at the second place: a subscriber that does not read. The others get everything.
TEST_F(StreamTest, ASlowSubscriberIsToldWhatItMissedAndHurtsNobody) {
  begin(1u << 22, 1u << 10);
  const auto slow = subscribe("logged");
  const auto quick = subscribe("logged");
  uint64_t quick_got = 0;
  for (int i = 0; i < 100; ++i) {
    writers_->update(0, 500);
    const Got got = read(*quick, 500);
    EXPECT_THAT(got.resyncs, IsEmpty());
    quick_got += got.changes.size();
    if (i != 3) continue;
    EXPECT_THAT(slow->next(Nanos(0), 10).value(), SizeIs(1)) << "already a resync";
  }
  EXPECT_EQ(quick_got, 50'000u);
  const Got got = read(*slow, 48'000);
  ASSERT_THAT(got.resyncs, SizeIs(1));
  EXPECT_EQ(got.resyncs[0].reason, "slow");
  EXPECT_EQ(got.changes.size() + got.lost(), 50'000u - 2000u) << "2000 were told by its first resync";
  EXPECT_EQ(got.resyncs[0].version, version());
  EXPECT_EQ(stream_->stats().resyncs, 2u);
  EXPECT_EQ(stream_->stats().subscribers, 2u);
}

TEST_F(StreamTest, ASubscriberResumesAfterANumber) {
  begin(1u << 20, 1u << 8);
  const uint64_t before = version();
  writers_->update(0, 100);
  auto resumed = subscribe("logged", before + 40);
  Got got = read(*resumed, 60);
  EXPECT_THAT(got.resyncs, IsEmpty());
  EXPECT_THAT(got.changes, SizeIs(60));
  EXPECT_EQ(got.changes.front().seq, before + 41);
  auto from_begin = subscribe("logged", before);
  EXPECT_THAT(read(*from_begin, 100).changes, SizeIs(100));

  auto future = subscribe("logged", before + 101);
  got = read(*future, 0);
  ASSERT_THAT(got.resyncs, SizeIs(1));
  EXPECT_EQ(got.resyncs[0].reason, "since-unknown");
  EXPECT_EQ(got.resyncs[0].version, before + 100);
  auto other_life = subscribe("logged", 5);
  got = read(*other_life, 0);
  ASSERT_THAT(got.resyncs, SizeIs(1));
  EXPECT_EQ(got.resyncs[0].reason, "since-too-old");

  writers_->update(0, 1000);  // beyond the history
  read(*resumed, 1000);
  auto too_old = subscribe("logged", before + 50);
  got = read(*too_old, 0);
  ASSERT_THAT(got.resyncs, SizeIs(1));
  EXPECT_EQ(got.resyncs[0].reason, "since-too-old");
  EXPECT_EQ(got.resyncs[0].version, version());
  writers_->update(0, 10);
  EXPECT_THAT(read(*too_old, 10).changes, SizeIs(10));
}

TEST_F(StreamTest, AHotUpdateKeepsTheNumbersAndSaysThatTheMapIsAnother) {
  begin();
  const auto subscription = subscribe("logged");
  writers_->update(0, 10);
  const uint64_t before = version();
  const auto old = std::move(writers_);
  ASSERT_TRUE(ok(unpin(pin_of("logged"))));
  ASSERT_TRUE(ok(unpin(pin_of("numbers"))));
  load_writers();
  writers_->update(0, 10);  // between the swap and the word about it
  ASSERT_TRUE(ok(stream_->retarget({"m", "logged"}, pin_of("logged"), true, {})));
  writers_->update(0, 10);
  const Got got = read(*subscription, 30);
  ASSERT_THAT(got.changes, SizeIs(30));
  EXPECT_EQ(got.changes.back().seq, before + 20);
  ASSERT_THAT(got.resyncs, SizeIs(1));
  EXPECT_EQ(got.resyncs[0].reason, "map-replaced");
  EXPECT_EQ(got.resyncs[0].lost, 0u);
  EXPECT_EQ(got.changes[0].map_id, map_id(old->logged()));
  EXPECT_EQ(got.changes[29].map_id, map_id(writers_->logged()));
  EXPECT_EQ(report("logged").map_id, map_id(writers_->logged()));
}

TEST_F(StreamTest, ARestartedAgentGoesOnWithTheNumbersAndWhatLiesInTheRing) {
  begin();
  const auto before = version();
  writers_->update(0, 10);
  stop();
  writers_->update(0, 100);  // nobody reads: they wait in the ring
  start();
  ASSERT_TRUE(ok(stream_->watch(watch_of("logged", {kInstrumented}))));
  EXPECT_EQ(version(), before + 110);
  auto resumed = subscribe("logged", before + 10);
  const Got got = read(*resumed, 100);
  EXPECT_THAT(got.changes, SizeIs(100));
  EXPECT_THAT(got.resyncs, IsEmpty());
  writers_->update(0, 5);
  EXPECT_THAT(read(*resumed, 5).changes, SizeIs(5));
  EXPECT_EQ(report("logged").lost, 0u);
}

// Of what nobody logged while no agent ran, nothing is left: who goes on from before it must read the map again.
TEST_F(StreamTest, WhatHappenedWhileNoAgentRanIsNotPassedOverInSilence) {
  start();
  load_writers();
  ASSERT_TRUE(ok(stream_->watch(watch_of("logged", {Source::kScan}))));
  const auto before = version();
  stop();
  writers_->plain(0, 10);
  start();
  ASSERT_TRUE(ok(stream_->watch(watch_of("logged", {Source::kScan}))));
  EXPECT_THAT(read(*subscribe("logged", before), 0).resyncs, SizeIs(1));
  EXPECT_THAT(read(*subscribe("logged", version()), 0).resyncs, IsEmpty());
}

// A second reader would take records from the first.
TEST_F(StreamTest, TwoAgentsDoNotShareOneRing) {
  start();
  const auto second = open_stream({pin_of("changes")});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kConflict);
}

// A hot update that keeps the map keeps the image that scans compare with.
TEST_F(StreamTest, AScannedMapThatIsKeptLosesNothingInAnUpdate) {
  start();
  load_writers();
  auto watch = watch_of("logged", {Source::kScan});
  watch.pull_interval = std::chrono::hours(1);
  ASSERT_TRUE(ok(stream_->watch(watch)));
  const auto subscription = subscribe("logged");
  writers_->plain(0, 10);
  ASSERT_TRUE(ok(stream_->retarget({"m", "logged"}, watch.pin, false, {})));
  ASSERT_TRUE(ok(stream_->scan({"m", "logged"})));
  EXPECT_THAT(read(*subscription, 10).changes, SizeIs(10));
  writers_->plain(10, 10);
  watch.pull_interval = std::chrono::minutes(30);
  ASSERT_TRUE(ok(stream_->watch(watch)));
  const Got got = read(*subscription, 0);
  ASSERT_THAT(got.resyncs, SizeIs(1));
  EXPECT_EQ(got.resyncs[0].reason, "missed");
}

// Loss at the third place: a full ring cannot keep what a scan found, so the next scan finds it again.
TEST_F(StreamTest, AScanPutsOffWhatFindsNoRoom) {
  start(4096);
  load_writers();
  auto watch = watch_of("logged", {Source::kScan});
  watch.pull_interval = std::chrono::hours(1);  // or scans of their own take a slow writer's keys piece by piece
  ASSERT_TRUE(ok(stream_->watch(watch)));
  const auto subscription = subscribe("logged");
  // A reader that runs on another CPU all the time may keep up: until it does not.
  for (uint32_t round = 0; round < 100 && report("logged").deferred == 0; ++round) {
    writers_->plain(round, 5000);  // another value for each key
    uint64_t got = 0;
    for (int i = 0; i < 200 && got < 5000; ++i) {
      ASSERT_TRUE(ok(stream_->scan({"m", "logged"})));
      got += read(*subscription, 1).changes.size();
    }
    EXPECT_EQ(got, 5000u);
  }
  EXPECT_GT(report("logged").deferred, 0u);
  EXPECT_EQ(report("logged").lost, 0u);
}

TEST_F(StreamTest, ASubscriptionEndsWithItsMap) {
  begin();
  const auto subscription = subscribe("logged");
  writers_->update(0, 3);
  ASSERT_THAT(read(*subscription, 3).changes, SizeIs(3));
  std::thread ending([this] { stream_->unwatch({"m", "logged"}); });
  const auto last = subscription->next(std::chrono::seconds(5), 10);
  ending.join();
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(stream_->subscribe({"m", "logged"}, {}).error().code, ErrorCode::kNotFound);
  writers_->update(0, 3);  // still has its slot, and writes nothing
  ASSERT_TRUE(ok(stream_->watch(watch_of("logged", {kInstrumented}))));
  EXPECT_EQ(stream_->stats().unclaimed, 0u);
}

TEST_F(StreamTest, AnUnloadedModuleGivesItsSlotsBack) {
  begin();
  writers_->update(0, 10);
  const uint64_t before = version();
  const auto subscription = subscribe("logged");
  writers_.reset();
  ASSERT_TRUE(ok(stream_->release("m")));
  EXPECT_EQ(subscription->next(Nanos(0), 1).error().code, ErrorCode::kNotFound);
  EXPECT_THAT(stream_->stats().maps, IsEmpty());
  ASSERT_TRUE(ok(unpin(pin_of("logged"))));
  ASSERT_TRUE(ok(unpin(pin_of("numbers"))));
  std::this_thread::sleep_for(std::chrono::seconds(1));  // of which the first number is made
  load_writers();
  ASSERT_TRUE(ok(stream_->watch(watch_of("logged", {kInstrumented}))));
  EXPECT_GT(version(), before + 1000);
  auto again = subscribe("logged", before);
  const Got got = read(*again, 0);
  ASSERT_THAT(got.resyncs, SizeIs(1));
  EXPECT_EQ(got.resyncs[0].reason, "since-too-old");
}

TEST_F(StreamTest, AMapThatIsDeletedWhileItIsWatchedIsNoHarm) {
  start();
  load_writers();
  ASSERT_TRUE(ok(stream_->watch(watch_of("logged", {Source::kSyscall, Source::kScan}))));
  const auto subscription = subscribe("logged");
  ASSERT_TRUE(ok(unpin(pin_of("logged"))));
  writers_.reset();
  ASSERT_TRUE(ok(stream_->scan({"m", "logged"})));
  EXPECT_THAT(read(*subscription, 0).changes, IsEmpty());
  EXPECT_EQ(stream_->retarget({"m", "logged"}, pin_of("logged"), false, {}).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(report("logged").problem.empty());
}

TEST_F(StreamTest, ModePullScansAtItsIntervalAndHybridWhenItIsSilent) {
  start();
  load_writers();
  Watch watch = watch_of("numbers", {});
  watch.mode = Mode::kPull;
  watch.pull_interval = std::chrono::milliseconds(50);
  const auto choice = stream_->watch(watch);
  ASSERT_TRUE(ok(choice));
  EXPECT_THAT(choice->sources, ElementsAre(Source::kScan));
  const auto subscription = subscribe("numbers");
  writers_->poke(0, 4);
  EXPECT_THAT(read(*subscription, 4).changes, SizeIs(4));
  watch.mode = Mode::kHybrid;
  watch.sources = {kInstrumented};
  watch.silence = std::chrono::milliseconds(100);
  ASSERT_TRUE(ok(stream_->watch(watch)));
  writers_->touch(0, 1);
  writers_->poke(8, 2);  // said by nobody, found when the map is silent
  const Got got = read(*subscription, 3);
  EXPECT_EQ(std::ranges::count(got.changes, Source::kScan, &Change::source), 3) << "the one that was told is told again";
  EXPECT_EQ(std::ranges::count(got.changes, kInstrumented, &Change::source), 1);
}

}  // namespace
}  // namespace mapshift::test
