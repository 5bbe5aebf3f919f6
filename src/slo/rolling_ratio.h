// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>

#include "base/clock.h"

namespace mapshift::slo {

// How far two counters moved within the last `length`. Keeps at most some 260 readings whatever their number, so that a
// window of hours over readings of every 10 ms stays small; its far end is therefore off by up to 1/256 of the length, and
// never shorter than asked once that much time has passed. Pure. Not thread-safe.
class RollingRatio {
 public:
  struct Part {
    double num = 0, den = 0;
    Nanos covered{0};  // shorter than the length while there is no more
  };

  explicit RollingRatio(Nanos length);
  // Times and counters never fall: clear() when they did.
  void add(Nanos at, double num, double den);
  void clear();
  [[nodiscard]] Part over() const;

 private:
  struct Point {
    Nanos at;
    double num, den;
  };
  Nanos length_, step_;
  std::deque<Point> points_;  // oldest first; the second is always within the window
  Point latest_{};
};

}  // namespace mapshift::slo
