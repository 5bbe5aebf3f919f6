// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "base/fd.h"

namespace mapshift::test {

// A network namespace of this thread's own, and of threads and children that it starts: loopback up, and one pair of
// veths, kNear and kFar, up. A frame sent on kFar is received by kNear. Nothing else is: without IPv6 the kernel sends no packets
// of its own. It vanishes with the object. Needs root and ip(8).
class PrivateNet {
 public:
  static constexpr const char* kNear = "ms0";
  static constexpr const char* kFar = "ms1";

  PrivateNet();
  PrivateNet(const PrivateNet&) = delete;
  PrivateNet& operator=(const PrivateNet&) = delete;
  ~PrivateNet();
  [[nodiscard]] const std::string& problem() const { return problem_; }  // empty when it is there

 private:
  Fd outer_;  // the namespace to return to
  std::string problem_;
};

}  // namespace mapshift::test
