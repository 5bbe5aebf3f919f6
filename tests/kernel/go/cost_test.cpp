// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <ctime>
#include <thread>

#include "go_target.h"
#include "kernel_test.h"

namespace mapshift::observe::go::test {
namespace {

class GoCost : public mapshift::test::KernelTest {};

double cpu_seconds() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

TEST_F(GoCost, FiftyProcessesCostLessThanOnePercentOfACore) {
  const Copy program(newest(), "app");
  std::vector<std::unique_ptr<GoTarget>> targets;
  for (int i = 0; i < 50; ++i) {
    targets.push_back(std::make_unique<GoTarget>(program.path()));
    targets.back()->ask("park receive 100");
  }
  const auto capture = capture_of(program.path());
  ASSERT_TRUE(mapshift::test::eventually([&] { return capture->reports(Nanos{0}).size() == 50; }, std::chrono::seconds(20)));
  constexpr int kReports = 100;
  double began = cpu_seconds();
  for (int i = 0; i < kReports; ++i) ASSERT_EQ(capture->reports(Nanos{0}).size(), 50U);
  std::printf("reports() on 50 processes: %.2f ms of CPU time\n", (cpu_seconds() - began) * 1e3 / kReports);
  // As a scrape finds it, when each list of goroutines is due to be walked again.
  double worst = 0;
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
    began = cpu_seconds();
    for (const auto& report : capture->reports(Nanos{0})) EXPECT_EQ(report.goroutines, 101U);
    worst = std::max(worst, cpu_seconds() - began);
  }
  std::printf("with the goroutines counted: at most %.2f ms of CPU time, %.3f %% of a core at a scrape every 15 s\n", worst * 1e3, worst / 15 * 100);
  EXPECT_LT(worst / 15, 0.01);
}

}  // namespace
}  // namespace mapshift::observe::go::test
