// SPDX-License-Identifier: Apache-2.0
#include "observe/go/timed_runner.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <thread>

namespace mapshift::observe::go {
namespace {

struct Gate {
  void wait() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return open; });
    passed = true;
    changed.notify_all();
  }
  void let_pass() {
    std::unique_lock lock(mutex);
    open = true;
    changed.notify_all();
    changed.wait(lock, [this] { return passed; });
  }
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false, passed = false;
};

TEST(TimedRunner, RunsOneAfterTheOther) {
  TimedRunner runner;
  int sum = 0;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(runner.run(std::chrono::seconds(10), [&sum, i] { sum += i; }));
  EXPECT_EQ(sum, 4950);
}

TEST(TimedRunner, LeavesBehindWhatDoesNotReturn) {
  const auto gate = std::make_shared<Gate>();
  bool ran = false;
  {
    TimedRunner runner;
    EXPECT_FALSE(runner.run(std::chrono::milliseconds(5), [gate] { gate->wait(); }));
    EXPECT_TRUE(runner.run(std::chrono::seconds(10), [&ran] { ran = true; }));
  }
  EXPECT_TRUE(ran);
  gate->let_pass();
}

TEST(TimedRunner, CloseEndsTheWaiting) {
  const auto gate = std::make_shared<Gate>();
  TimedRunner runner;
  std::thread closer([&runner] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    runner.close();
  });
  EXPECT_FALSE(runner.run(std::chrono::hours(1), [gate] { gate->wait(); }));
  closer.join();
  EXPECT_FALSE(runner.run(std::chrono::hours(1), [] {}));
  gate->let_pass();
}

TEST(TimedRunner, DoesNotLeaveBehindEndlesslyMany) {
  const auto gate = std::make_shared<Gate>();
  TimedRunner runner;
  int begun = 0;
  for (int i = 0; i < 2 * TimedRunner::kMostLeftBehind; ++i) {
    const auto mine = std::make_shared<std::atomic<bool>>(false);
    EXPECT_FALSE(runner.run(std::chrono::milliseconds(5), [gate, mine] {
      *mine = true;
      gate->wait();
    }));
    begun += *mine ? 1 : 0;
  }
  EXPECT_LE(begun, TimedRunner::kMostLeftBehind);
  gate->let_pass();
}

TEST(TimedRunner, WhatReturnsLateMakesRoom) {
  TimedRunner runner;
  for (int i = 0; i < 2 * TimedRunner::kMostLeftBehind; ++i) {
    const auto gate = std::make_shared<Gate>();
    EXPECT_FALSE(runner.run(std::chrono::milliseconds(1), [gate] { gate->wait(); }));
    gate->let_pass();
  }
  bool ran = false;
  for (int tries = 0; tries < 1000 && !ran; ++tries) {  // the last ones may not have been counted yet
    if (!runner.run(std::chrono::seconds(10), [&ran] { ran = true; })) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace mapshift::observe::go
