// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/gaps.h"

namespace mapshift::observe::changes {

bool Gaps::fill(uint64_t number) {
  for (size_t i = 0; i < missing_.size(); ++i) {
    Range& range = missing_[i];
    if (number < range.first || number > range.last) continue;
    if (range.first == range.last) {
      missing_.erase(missing_.begin() + static_cast<ptrdiff_t>(i));
    } else if (number == range.first) {
      ++range.first;
    } else if (number == range.last) {
      --range.last;
    } else {
      const Range above{number + 1, range.last, range.bound};
      range.last = number - 1;
      missing_.insert(missing_.begin() + static_cast<ptrdiff_t>(i) + 1, above);
    }
    return true;
  }
  return false;
}

void Gaps::handed_out(uint64_t last, uint64_t produced) {
  if (next_ == 0 || last < next_) return;
  missing_.push_back({next_, last, produced});
  next_ = last + 1;
}

std::vector<Gaps::Lost> Gaps::settle(uint64_t consumed) {
  std::vector<Lost> lost;
  std::erase_if(missing_, [&](const Range& range) {
    if (range.bound > consumed) return false;
    lost.push_back({range.first, range.last});
    return true;
  });
  return lost;
}

}  // namespace mapshift::observe::changes
