// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <limits>

#include "base/clock.h"

namespace mapshift::observe::go {

// What a window looks at. Reads and writes are probed where they return, at instructions that cost 15 times as much, so
// they have windows of their own.
enum class WindowKind : uint8_t { kGoroutines, kIo };
inline constexpr size_t kWindowKinds = 2;

struct WindowPlan {
  Nanos earliest{0};   // monotonic
  Nanos length{0};     // 0: never
  double allowance = 0;  // CPU seconds after which the window is to be cut short
};

// How often and how long the hot probes may be attached to one process: their cost stays within a share of the process's own
// CPU time, over each sliding minute. Pure: times are given. Not thread-safe.
//
// Windows pay for themselves: after one that cost c, the next begins when the process has earned c again. A window is cut
// short when it costs what the minute has left, so a storm costs no more than what happens between two looks at the counter.
class Budget {
 public:
  explicit Budget(double share) : share_(share) {}

  void set_share(double share) { share_ = share; }
  // A share of 1 or more: attached all the time, and everything is counted.
  [[nodiscard]] bool always() const { return share_ >= 1; }
  [[nodiscard]] bool never() const { return share_ <= 0; }

  // CPU seconds that the process has used since it began. Times never fall.
  void used(Nanos at, double cpu_seconds);
  // CPU seconds that probes of either tier cost it.
  void spent(Nanos at, double seconds);
  // A window that ended: what its hits cost, and attaching and detaching. Both are also told to spent().
  void window(WindowKind kind, Nanos began, Nanos ended, double cost, double fixed);

  // `fixed` is the cost of attaching and detaching.
  [[nodiscard]] WindowPlan plan(WindowKind kind, Nanos now, double fixed) const;
  // Over the last minute, or since the beginning.
  [[nodiscard]] double overhead(Nanos now) const;
  [[nodiscard]] double duty(Nanos now) const;

  static constexpr Nanos kMinute = std::chrono::minutes(1);
  static constexpr Nanos kShortest = std::chrono::milliseconds(20);
  static constexpr Nanos kLongest = std::chrono::seconds(5);
  static constexpr Nanos kPeriod = std::chrono::seconds(10);  // a window a period, where the budget is enough for it
  // What even an idle process may cost, in CPU seconds a second: without it, it would never be looked at.
  static constexpr double kFloor = 2e-5;

 private:
  struct Amount {
    Nanos at;
    double value;
  };
  struct Span {
    Nanos began, ended;
  };
  [[nodiscard]] double earned(Nanos now) const;   // in the last minute
  [[nodiscard]] double rate(Nanos now) const;     // CPU seconds that may be spent a second
  [[nodiscard]] double paid(Nanos now) const;     // in the last minute
  [[nodiscard]] Nanos age(Nanos now) const;       // at most a minute

  double share_;
  std::deque<Amount> used_, spent_;
  std::deque<Span> windows_;
  std::array<double, kWindowKinds> cost_rate_{};  // CPU seconds a second while attached; 0: not known yet
  Nanos began_{0}, last_began_{0};
  double last_cost_ = 0;
};

}  // namespace mapshift::observe::go
