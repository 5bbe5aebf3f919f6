// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "go_target.h"
#include "kernel_test.h"
#include "observe/go/binary.h"
#include "observe/go/procfs.h"

// Processes that end, exec and are replaced at any instant of a reading.
namespace mapshift::observe::go::test {
namespace {

class GoChurn : public mapshift::test::KernelTest {};

size_t open_descriptors() {
  size_t out = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++out;
  return out;
}

// Discovery opens some for an instant.
size_t descriptors_at_rest() {
  size_t out = open_descriptors();
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    out = std::min(out, open_descriptors());
  }
  return out;
}

// Reads all the time on a thread of its own. What it sees must be captured and complete, or not be there.
class Reader {
 public:
  explicit Reader(Capture& capture) : capture_(capture), thread_([this] { run(); }) {}
  ~Reader() {
    stop_ = true;
    thread_.join();
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  [[nodiscard]] uint64_t reports() const { return reports_; }

 private:
  void run() {
    while (!stop_) {
      for (const auto& report : capture_.reports(Nanos{0})) {
        EXPECT_EQ(report.state, State::kCaptured) << report.reason;
        EXPECT_TRUE(report.goroutines && *report.goroutines > 0);
        EXPECT_LE(report.gc_cycles.value_or(99), 3U);
        (void)capture_.census(report.pid);
        ++reports_;
      }
    }
  }
  Capture& capture_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> reports_{0};
  std::thread thread_;
};

TEST_F(GoChurn, KilledInMidReading) {
  const Copy program(newest(), "app");
  const auto capture = capture_of(program.path());
  ASSERT_TRUE(mapshift::test::eventually([&] { return capture->reports(Nanos{0}).empty(); }));
  const size_t descriptors = descriptors_at_rest();
  uint64_t reports = 0;
  {
    const Reader reader(*capture);
    for (int round = 0; round < 25; ++round) {
      GoTarget first(program.path()), second(program.path());
      first.tell("park receive 2000");
      second.tell("gc 3");
      std::this_thread::sleep_for(std::chrono::milliseconds(60 + round * 3));
    }
    reports = reader.reports();
  }
  std::printf("%lu reports on processes that were killed\n", static_cast<unsigned long>(reports));
  EXPECT_GT(reports, 50U);
  EXPECT_TRUE(mapshift::test::eventually([&] { return capture->reports(Nanos{0}).empty(); }));
  EXPECT_TRUE(mapshift::test::eventually([&] { return open_descriptors() == descriptors; }));
}

TEST_F(GoChurn, ExecsInMidReading) {
  const Copy first(newest(), "app"), second(programs().front(), "app");
  const auto capture = capture_of(std::filesystem::temp_directory_path().string() + "/mapshift-go-*");
  GoTarget target(first.path());
  uint64_t reports = 0;
  {
    const Reader reader(*capture);
    for (int round = 0; round < 20; ++round) {
      target.ask("gc 2");
      target.tell("exec " + (round % 3 == 0 ? first : second).path());
      // What is told before the exec is read by the program that ends.
      std::this_thread::sleep_for(std::chrono::milliseconds(30 + round * 5));
    }
    reports = reader.reports();
  }
  std::printf("%lu reports on a process that executed another program\n", static_cast<unsigned long>(reports));
  EXPECT_TRUE(mapshift::test::eventually([&] { return report_on(*capture, target.pid()).gc_cycles == 0U; }));
  target.ask("gc 1");
  EXPECT_EQ(report_on(*capture, target.pid()).gc_cycles, 1U);
}

// One that makes whoever reads it wait for ever holds up neither the reports on others nor the end.
TEST_F(GoChurn, MemoryThatNeverAnswers) {
  const Copy program(newest(), "app");
  GoTarget trap(program.path()), other(program.path());
  auto capture = capture_of(program.path());
  ASSERT_EQ(report_on(*capture, trap.pid()).state, State::kCaptured);
  ASSERT_EQ(report_on(*capture, other.pid()).state, State::kCaptured);
  const auto file = open_file(program.path());
  const auto binary = analyse(file->get());
  ASSERT_TRUE(binary);
  trap.tell("trap " + std::to_string(binary->globals.time_to_run));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const Nanos began = monotonic_now();
  const auto reports = capture->reports(Nanos{0});
  const Nanos took = monotonic_now() - began;
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports[0].pid, other.pid());
  EXPECT_EQ(reports[0].state, State::kCaptured);
  EXPECT_EQ(reports[1].state, State::kDenied);
  std::printf("after %.1f s: %s\n", static_cast<double>(took.count()) / 1e9, reports[1].reason.c_str());
  EXPECT_LT(took, std::chrono::seconds(8));
  const Nanos again = monotonic_now();
  other.ask("gc 1");
  EXPECT_EQ(report_on(*capture, other.pid()).gc_cycles, 1U);
  EXPECT_LT(monotonic_now() - again, std::chrono::seconds(1));
  capture.reset();
  EXPECT_LT(monotonic_now() - again, std::chrono::seconds(3));
}

TEST_F(GoChurn, ManyThatDoNotLive) {
  const auto capture = capture_of(newest());
  for (int i = 0; i < 150; ++i) {
    GoTarget target(newest());
    if (i % 10 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  GoTarget last(newest());
  EXPECT_EQ(report_on(*capture, last.pid()).state, State::kCaptured);
  EXPECT_TRUE(mapshift::test::eventually([&] { return capture->reports(Nanos{0}).size() == 1; }));
}

}  // namespace
}  // namespace mapshift::observe::go::test
