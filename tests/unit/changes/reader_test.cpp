// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "fake_ring.h"
#include "observe/changes/subscription.h"

namespace mapshift::test {
namespace {

constexpr uint16_t kSlot = 3;

class ReaderTest : public ::testing::Test {
 protected:
  void watch(Topic::Shape shape = {}) {
    shape.first = shape.first == 0 ? 1 : shape.first;
    topic_ = std::make_shared<Topic>(shape);
    reader_.add(kSlot, topic_);
  }
  // What a producer does: room, number, record; without room only the number.
  bool produce() {
    const auto at = ring_.reserve(sizeof(ms_change));
    const ms_change change = change_of(kSlot, ++ring_.numbers[kSlot]);
    if (at) ring_.commit(*at, &change, sizeof change);
    return at.has_value();
  }
  std::unique_ptr<TopicSubscription> subscribe(std::optional<uint64_t> since = {}) {
    TopicSubscription::Host host{[this] { return topic_; }, [this] { return ring_.numbers[kSlot].load(); }, subscribers_, resyncs_};
    return std::make_unique<TopicSubscription>(std::move(host), topic_, since);
  }
  void drain() {
    while (reader_.step(true)) {
    }
    reader_.step(true);
  }

  FakeRing ring_{4096};
  Bell bell_;
  Reader reader_{ring_, bell_};
  std::shared_ptr<Topic> topic_;
  std::shared_ptr<std::atomic<uint64_t>> subscribers_ = std::make_shared<std::atomic<uint64_t>>(0);
  std::shared_ptr<std::atomic<uint64_t>> resyncs_ = std::make_shared<std::atomic<uint64_t>>(0);
};

TEST_F(ReaderTest, RecordsAreCountedByOperationAndSource) {
  watch();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(produce());
  drain();
  EXPECT_EQ(topic_->seen(MS_CHANGE_UPDATE - 1, MS_CHANGE_INSTRUMENTED - 1), 10u);
  EXPECT_EQ(reader_.records(), 10u);
  EXPECT_EQ(reader_.latency()[MS_CHANGE_INSTRUMENTED - 1].total(), 10u);
  EXPECT_EQ(topic_->lost(), 0u);
}

TEST_F(ReaderTest, AnUnfinishedRecordHoldsBackThoseBehindIt) {
  watch();
  const auto first = ring_.reserve(sizeof(ms_change));
  ASSERT_TRUE(first);
  ring_.numbers[kSlot] = 1;  // its number is the second: it was slower
  ASSERT_TRUE([&] { const ms_change c = change_of(kSlot, 1); return ring_.send(&c, sizeof c); }());
  reader_.step(true);
  EXPECT_EQ(reader_.records(), 0u);
  EXPECT_EQ(topic_->lost(), 0u) << "its record may lie behind the unfinished one";
  const ms_change late = change_of(kSlot, 2);
  ring_.numbers[kSlot] = 2;
  ring_.commit(*first, &late, sizeof late);
  drain();
  EXPECT_EQ(reader_.records(), 2u);
  EXPECT_EQ(topic_->lost(), 0u);
  EXPECT_EQ(topic_->late(), 0u);
}

TEST_F(ReaderTest, HostileRecordsAreCountedAndHarmNobody) {
  watch({.key_size = 4, .value_size = 8, .keys = true});
  std::vector<std::byte> bytes(sizeof(ms_change) + 64);
  const auto send = [&](ms_change change, size_t length) {
    std::memcpy(bytes.data(), &change, sizeof change);
    ASSERT_TRUE(ring_.send(bytes.data(), length));
  };
  uint64_t seq = 0;
  const auto next = [&] { return change_of(kSlot, ++seq); };
  ASSERT_TRUE(ring_.send(bytes.data(), 0));
  ASSERT_TRUE(ring_.send(bytes.data(), sizeof(ms_change) - 1));
  ms_change c = next();
  c.slot = 0;
  send(c, sizeof c);
  c.slot = UINT16_MAX;
  send(c, sizeof c);
  EXPECT_EQ(reader_.malformed(), 0u);
  drain();
  EXPECT_EQ(reader_.malformed(), 4u);

  c = change_of(kSlot, 1), c.op = 0;
  send(c, sizeof c);
  c = change_of(kSlot, 1), c.op = 4;
  send(c, sizeof c);
  c = change_of(kSlot, 1), c.source = 5;
  send(c, sizeof c);
  c = change_of(kSlot, 0);
  send(c, sizeof c);
  c = change_of(kSlot, 1), c.key_size = 5;  // not the map's
  send(c, sizeof c + 8);
  c = change_of(kSlot, 1), c.key_size = 4;  // shorter, longer than it says
  send(c, sizeof c);
  send(c, sizeof c + 16);
  c.value_size = UINT16_MAX;
  send(c, sizeof c + 8);
  drain();
  EXPECT_EQ(topic_->malformed(), 8u);
  EXPECT_EQ(topic_->seen(1, 1), 0u);
  c = change_of(kSlot, 1), c.key_size = 4, c.value_size = 8;  // a value that is not allowed: without it
  const auto subscription = subscribe();
  ring_.numbers[kSlot] = 1;
  send(c, sizeof c + 16);
  drain();
  const auto events = subscription->next(Nanos(0), 10);
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 1u);
  EXPECT_EQ(std::get<Change>(events->front()).key.size(), 4u);
  EXPECT_EQ(std::get<Change>(events->front()).value.size(), 0u);
}

TEST_F(ReaderTest, LengthsThatContradictThePositionsEndNothing) {
  watch();
  ASSERT_TRUE(ring_.send("x", 1));
  ring_.put_header(0, 4000);
  drain();
  EXPECT_EQ(reader_.malformed(), 1u);
  ASSERT_TRUE(produce());
  drain();
  EXPECT_EQ(topic_->seen(1, 1), 1u);
}

TEST_F(ReaderTest, RecordsOfNobodyAreUnclaimed) {
  ASSERT_TRUE(produce());
  drain();
  EXPECT_EQ(reader_.unclaimed(), 1u);
  EXPECT_EQ(reader_.malformed(), 0u);
}

// Records of one map stand in the ring a little out of order: who resumes after 2 has not seen the 1 that came later.
TEST_F(ReaderTest, WhoResumesIsToldOfLowerNumbersThatCameLater) {
  watch();
  const auto first = ring_.reserve(sizeof(ms_change)), second = ring_.reserve(sizeof(ms_change));
  ring_.numbers[kSlot] = 2;
  const ms_change two = change_of(kSlot, 2), one = change_of(kSlot, 1);
  ring_.commit(*first, &two, sizeof two);
  auto before = subscribe(0);
  drain();
  ASSERT_EQ(before->next(Nanos(0), 10).value().size(), 1u);
  before.reset();
  ring_.commit(*second, &one, sizeof one);
  drain();
  auto resumed = subscribe(2);
  const auto events = resumed->next(Nanos(0), 10);
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 1u);
  EXPECT_EQ(std::get<Change>(events->front()).seq, 1u);
  ASSERT_TRUE(produce());
  drain();
  EXPECT_EQ(std::get<Change>(resumed->next(Nanos(0), 10).value().at(0)).seq, 3u);
  EXPECT_EQ(subscribe(3)->next(Nanos(0), 10).value().size(), 0u);
}

TEST_F(ReaderTest, BytesThatMayNotLeaveAnyMoreAreNotTold) {
  watch({0, 64, 4, 4, true, true});
  auto slow = subscribe(0);
  ASSERT_TRUE(produce());
  drain();
  const auto old = topic_;
  ASSERT_TRUE(old->shows_more_than({0, 64, 4, 4, true, false}));
  topic_ = std::make_shared<Topic>(Topic::Shape{2, 64, 4, 4, true, false});
  old->revoke();
  old->close();
  const auto events = slow->next(Nanos(0), 10);
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 1u);
  EXPECT_EQ(std::get<Resync>(events->front()).lost, 1u);
}

TEST_F(ReaderTest, TheNextNumberOfARunningMapIsFound) {
  ring_.numbers[kSlot] = 40;
  EXPECT_EQ(reader_.next_number(kSlot), 41u);
  ASSERT_TRUE(produce());
  ASSERT_TRUE(produce());
  EXPECT_EQ(reader_.next_number(kSlot), 41u);
  (void)ring_.reserve(sizeof(ms_change));
  EXPECT_EQ(reader_.next_number(kSlot), 0u) << "whose that will be nobody knows yet";
}

// Everything at once, at random: a small ring that loses, records that overtake each other, a history that forgets, a
// subscriber that reads when it likes, resumes, and is told. Each number must be told or be said to be lost, and none both.
TEST_F(ReaderTest, WhatIsProducedIsToldOrLost) {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    reader_.remove(kSlot);
    const uint64_t begin = ring_.numbers[kSlot];
    watch({.first = begin + 1, .history = seed % 3 == 0 ? 16u : 1024u});
    const auto subscription = subscribe();
    uint64_t told = 0, lost = 0, last_version = 0;
    const auto read = [&](size_t limit) {
      auto events = subscription->next(Nanos(0), limit);
      ASSERT_TRUE(events);
      for (const auto& event : *events) {
        if (const auto* resync = std::get_if<Resync>(&event)) {
          lost += resync->lost;
          last_version = resync->version;
        } else {
          ++told;
        }
      }
    };
    std::vector<uint64_t> reserved;
    for (int step = 0; step < 400; ++step) {
      switch (random() % 6) {
        case 0:
        case 1:
          for (auto i = random() % 60; i > 0; --i) (void)produce();
          break;
        case 2:
          if (const auto at = ring_.reserve(sizeof(ms_change))) reserved.push_back(*at);  // goes to sleep with its room
          break;
        case 3:
          if (!reserved.empty()) {  // and takes its number when it wakes up
            const ms_change change = change_of(kSlot, ++ring_.numbers[kSlot]);
            ring_.commit(reserved.back(), &change, sizeof change);
            reserved.pop_back();
          }
          break;
        case 4: reader_.step(random() % 2 == 0); break;
        default: read(1 + random() % 50);
      }
    }
    const ms_change nothing{};
    for (const uint64_t at : reserved) ring_.commit(at, &nothing, sizeof nothing, true);
    drain();
    for (uint64_t before = UINT64_MAX; before != told + lost;) {
      before = told + lost;
      read(1000);
    }
    EXPECT_EQ(told + lost, ring_.numbers[kSlot] - begin);
    EXPECT_LE(last_version, ring_.numbers[kSlot].load());
    EXPECT_EQ(topic_->seen(1, 1) + topic_->lost(), ring_.numbers[kSlot] - begin);
    EXPECT_EQ(topic_->late(), 0u);
  }
}

}  // namespace
}  // namespace mapshift::test
