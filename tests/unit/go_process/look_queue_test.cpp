// SPDX-License-Identifier: Apache-2.0
#include "observe/go/look_queue.h"

#include <gtest/gtest.h>

#include <thread>

namespace mapshift::observe::go {
namespace {

TEST(LookQueue, GivesEachProcessOnce) {
  LookQueue queue;
  queue.push(7);
  queue.push(7);
  queue.push(8);
  EXPECT_EQ(queue.next(), 7);
  EXPECT_EQ(queue.next(), 8);
  queue.close();
  EXPECT_EQ(queue.next(), std::nullopt);
}

TEST(LookQueue, AllComesFirst) {
  LookQueue queue;
  queue.push(7);
  queue.push_all();
  EXPECT_EQ(queue.next(), LookQueue::kAll);
  EXPECT_EQ(queue.next(), 7);
}

TEST(LookQueue, WaitsForTheTime) {
  LookQueue queue;
  const Nanos began = monotonic_now();
  queue.push(7, std::chrono::milliseconds(20));
  queue.push(8, std::chrono::milliseconds(10));
  EXPECT_EQ(queue.next(), 8);
  EXPECT_EQ(queue.next(), 7);
  EXPECT_GE(monotonic_now() - began, std::chrono::milliseconds(20));
}

TEST(LookQueue, TheEarlierTimeWins) {
  LookQueue queue;
  queue.push(7, std::chrono::hours(1));
  queue.push(7);
  EXPECT_EQ(queue.next(), 7);
}

TEST(LookQueue, ALaterTimeChangesNothing) {
  LookQueue queue;
  queue.push(7);
  queue.push(7, std::chrono::hours(1));
  queue.push(8);
  EXPECT_EQ(queue.next(), 7);
  EXPECT_EQ(queue.next(), 8);
}

TEST(LookQueue, CloseWakesTheWaiter) {
  LookQueue queue;
  std::thread waiter([&queue] { EXPECT_EQ(queue.next(), std::nullopt); });
  queue.close();
  waiter.join();
}

}  // namespace
}  // namespace mapshift::observe::go
