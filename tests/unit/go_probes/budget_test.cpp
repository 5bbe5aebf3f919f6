// SPDX-License-Identifier: Apache-2.0
#include "observe/go/budget.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace mapshift::observe::go {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr double kFixed = 1e-4;

// A process that uses so much of a CPU, and would pay so much CPU time a second while the probes are attached.
struct Life {
  double load = 0, cost = 0;
  double share = 0.01;
  double used = 0, paid = 0;
  size_t windows = 0;
  Nanos attached{0}, longest{0}, now{seconds(1000)};

  // Lives as the thread of the windows does: a look at the clock every half second, and windows when they are due.
  void run(Budget& budget, Nanos time) {
    const Nanos end = now + time;
    while (now < end) {
      budget.used(now, used);
      const WindowPlan plan = budget.plan(WindowKind::kGoroutines, now, kFixed);
      if (plan.length > Nanos(0) && plan.earliest <= now) look(budget, plan);
      else pass(std::clamp(plan.earliest - now, Nanos(milliseconds(1)), Nanos(milliseconds(500))));
    }
  }
  void look(Budget& budget, const WindowPlan& plan) {
    const Nanos began = now;
    double spent = 0;
    while (now < began + plan.length && spent < plan.allowance) {
      pass(milliseconds(5));
      spent += cost * 0.005;
    }
    budget.spent(now, spent + kFixed);
    budget.window(WindowKind::kGoroutines, began, now, spent, kFixed);
    paid += spent + kFixed;
    attached += now - began;
    longest = std::max(longest, now - began);
    windows++;
  }
  void pass(Nanos time) {
    now += time;
    used += load * Seconds(time).count();
  }
};

TEST(Budget, ABusyProcessPaysItsShareAndNoMore) {
  Budget budget(0.01);
  Life life{1.5, 0.6};
  life.run(budget, seconds(300));
  EXPECT_LT(life.paid / life.used, 0.0101);
  EXPECT_GT(life.paid / life.used, 0.007) << "what may be spent is used";
  EXPECT_GT(life.windows, 20U);
  EXPECT_LT(budget.overhead(life.now), 0.0105);
  EXPECT_NEAR(budget.duty(life.now), 0.01 * 1.5 / 0.6, 0.01);
}

TEST(Budget, AnIdleProcessGetsLongWindows) {
  Budget budget(0.01);
  Life life{0.0005, 0.00001};
  life.run(budget, seconds(300));
  EXPECT_GE(life.longest, seconds(2));
  EXPECT_GT(life.windows, 5U);
}

TEST(Budget, ACheapProcessIsWatchedNearlyAllTheTime) {
  Budget budget(0.01);
  Life life{1.0, 0.002};
  life.run(budget, seconds(120));
  EXPECT_GT(budget.duty(life.now), 0.9);
  EXPECT_EQ(life.longest, Budget::kLongest);
}

TEST(Budget, AStormIsCutShort) {
  Budget budget(0.01);
  Life life{0.2, 0.001};
  life.run(budget, seconds(60));
  life.load = 2;
  life.cost = 1.8;
  const double before = life.paid;
  life.run(budget, seconds(10));
  // What the minute had left, and what one look every 5 ms lets through.
  EXPECT_LT(life.paid - before, 0.01 * life.used + 60 * Budget::kFloor + 0.01);
}

TEST(Budget, NoMinuteCostsMoreThanItsShare) {
  std::mt19937 random(20261122);
  for (int i = 0; i < 40; i++) {
    Budget budget(0.01);
    Life life;
    std::uniform_real_distribution<double> exponent(-3, 0.3);
    life.load = std::pow(10, exponent(random));
    life.cost = life.load * std::uniform_real_distribution<double>(0.001, 1)(random);
    for (int minute = 0; minute < 4; minute++) {
      const double used = life.used, paid = life.paid;
      life.run(budget, seconds(60));
      // A window that began just before the minute may end in it, and one look is 5 ms.
      EXPECT_LE(life.paid - paid, 1.2 * (0.01 * (life.used - used) + 60 * Budget::kFloor) + life.cost * 0.005 + 2 * kFixed)
          << "load " << life.load << " cost " << life.cost << " minute " << minute;
    }
  }
}

TEST(Budget, ZeroIsNeverAndOneIsAlways) {
  Budget never(0);
  never.used(seconds(1), 1);
  EXPECT_TRUE(never.never());
  EXPECT_EQ(never.plan(WindowKind::kIo, seconds(2), kFixed).length, Nanos(0));
  const Budget always(1);
  EXPECT_TRUE(always.always());
  EXPECT_EQ(always.plan(WindowKind::kIo, seconds(2), kFixed).earliest, seconds(2));
}

TEST(Budget, KindsLearnTheirCostsApart) {
  Budget budget(0.01);
  budget.used(seconds(100), 0);
  budget.used(seconds(160), 60);
  budget.window(WindowKind::kIo, seconds(158), seconds(158) + milliseconds(20), 0.02, 0);
  budget.window(WindowKind::kGoroutines, seconds(159), seconds(159) + milliseconds(20), 0.00002, 0);
  EXPECT_LT(budget.plan(WindowKind::kIo, seconds(160), kFixed).length, milliseconds(200));
  EXPECT_EQ(budget.plan(WindowKind::kGoroutines, seconds(160), kFixed).length, Budget::kLongest);
}

}  // namespace
}  // namespace mapshift::observe::go
