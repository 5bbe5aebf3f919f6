// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>

namespace mapshift::test {

// What this process lacks for tests on the real kernel, or empty.
[[nodiscard]] std::string missing_privilege();
// "tcx needs Linux 6.6", or empty on such a kernel or a newer one.
[[nodiscard]] std::string needs_linux(int major, int minor, const std::string& what);
// MAPSHIFT_REQUIRE_KERNEL=1: a missing privilege is a failure and not a skip.
[[nodiscard]] bool kernel_required();
// Polls until it holds, at most `limit`: for what the kernel does a little later, such as freeing a link.
[[nodiscard]] bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds limit = std::chrono::seconds(5));

// Skips (or fails) for `why`; use as `MS_SKIP_FOR(reason)` in SetUp or a test.
#define MS_SKIP_FOR(why)                                                     \
  do {                                                                       \
    if (const std::string ms_why_ = (why); !ms_why_.empty()) {               \
      if (::mapshift::test::kernel_required()) FAIL() << ms_why_;            \
      GTEST_SKIP() << ms_why_;                                               \
    }                                                                        \
  } while (false)

// Base of every test that needs the real kernel.
class KernelTest : public ::testing::Test {
 protected:
  void SetUp() override { MS_SKIP_FOR(missing_privilege()); }
};

}  // namespace mapshift::test
