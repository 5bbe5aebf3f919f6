// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace mapshift::observe::changes {

// Which numbers of one map are missing, and when that is certain. Pure; not thread-safe.
//
// A producer reserves room in the ring, then takes its number; without room it takes one all the same, which never comes. So of
// a number that is missing when a higher one is read, the record either lies in what was reserved by then or nowhere. Once
// the ring is read up to there it is lost: no time limit, no guess.
class Gaps {
 public:
  // `next`: the number that the first record should have; 0: whatever comes first.
  explicit Gaps(uint64_t next) : first_(next), next_(next) {}

  enum class Seen : uint8_t {
    kNew,
    kLate,  // it had been given up, or came twice
    kOld,   // from before the first one: of an earlier watch
  };
  // `produced`: called when numbers are missing; the ring's end at this moment.
  template <class Produced>
  Seen take(uint64_t number, Produced&& produced) {
    if (number == next_ || next_ == 0) {
      next_ = number + 1;
      return Seen::kNew;
    }
    if (number > next_) {
      missing_.push_back({next_, number - 1, produced()});
      next_ = number + 1;
      return Seen::kNew;
    }
    if (number < first_) return Seen::kOld;
    return fill(number) ? Seen::kNew : Seen::kLate;
  }
  // Numbers up to `last` were handed out before the ring's end was `produced`.
  void handed_out(uint64_t last, uint64_t produced);
  struct Lost {
    uint64_t first, last;
  };
  // What is lost for certain, now that the ring is read up to `consumed`; each number is told once.
  [[nodiscard]] std::vector<Lost> settle(uint64_t consumed);
  [[nodiscard]] bool any_missing() const { return !missing_.empty(); }
  [[nodiscard]] uint64_t next() const { return next_; }

 private:
  struct Range {
    uint64_t first, last;
    uint64_t bound;  // where the ring ended when it was found missing
  };
  bool fill(uint64_t number);

  uint64_t first_, next_;
  std::vector<Range> missing_;
};

}  // namespace mapshift::observe::changes
