// SPDX-License-Identifier: Apache-2.0
#include "observe/go/labels.h"

#include <gtest/gtest.h>

namespace mapshift::observe::go {
namespace {

TEST(Labels, AreTheBaseNameAndAnIndexWhereThereAreSeveral) {
  Labels labels;
  EXPECT_EQ(labels.take("/usr/bin/app"), "app");
  EXPECT_EQ(labels.take("/opt/app"), "app-1");
  EXPECT_EQ(labels.take("app"), "app-2");
  EXPECT_EQ(labels.take("/usr/bin/other"), "other");
}

TEST(Labels, AreFreeAfterTheirProcess) {
  Labels labels;
  EXPECT_EQ(labels.take("/app"), "app");
  EXPECT_EQ(labels.take("/app"), "app-1");
  labels.free("app");
  EXPECT_EQ(labels.take("/app"), "app");
  EXPECT_EQ(labels.take("/app"), "app-2");
}

TEST(Labels, PassOverAnExecutableThatHasSuchAName) {
  Labels labels;
  EXPECT_EQ(labels.take("/app-1"), "app-1");
  EXPECT_EQ(labels.take("/app"), "app");
  EXPECT_EQ(labels.take("/app"), "app-2");
}

TEST(Labels, AreBoundedAndNeverEmpty) {
  Labels labels;
  EXPECT_EQ(labels.take(""), "unnamed");
  EXPECT_EQ(labels.take("/x/"), "unnamed-1");
  EXPECT_EQ(labels.take("/" + std::string(5000, 'a')).size(), 64U);
}

}  // namespace
}  // namespace mapshift::observe::go
