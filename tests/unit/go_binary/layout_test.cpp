// SPDX-License-Identifier: Apache-2.0
#include "observe/go/layout.h"

#include <gtest/gtest.h>

namespace mapshift::observe::go {
namespace {

TEST(Layout, EveryServedVersionHasOneRow) {
  for (int minor = kOldestMinor; minor <= kNewestKnownMinor; ++minor) {
    const auto layout = layout_of({minor, 0, "go1." + std::to_string(minor)});
    ASSERT_TRUE(layout) << minor;
    EXPECT_EQ(layout->origin, Origin::kTable);
    EXPECT_EQ(*layout->g_status + 8, *layout->g_goid);
    EXPECT_EQ(layout->sched_total_gc.has_value(), minor >= 22);
    EXPECT_EQ(layout->g_parent_goid.has_value(), minor >= 21);
    EXPECT_EQ(layout->histogram_size, minor >= 20 ? 1296U : 5768U);
  }
  EXPECT_FALSE(layout_of({kOldestMinor - 1, 0, "go1.17"}));
  EXPECT_FALSE(layout_of({kNewestKnownMinor + 1, 0, "go1.28"}));
}

TEST(Layout, DevelopmentVersionsAreNotGuessed) {
  EXPECT_FALSE(layout_of({26, 0, "devel go1.26-0123456 Mon"}));
  EXPECT_FALSE(layout_of({26, 0, "go1.26-devel_0123456"}));
  EXPECT_TRUE(layout_of({26, 0, "go1.26rc1"}));
}

TEST(Layout, StructuresMustBeWhole) {
  StructLayouts structs;
  structs["runtime.g"] = {400, {{"goid", 152}, {"atomicstatus", 144}, {"waitreason", 176}, {"startpc", 304}}};
  structs["runtime.schedt"] = {7000, {{"timeToRun", 360}}};
  structs["runtime.timeHistogram"] = {1296, {}};
  const auto layout = layout_from(structs);
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->origin, Origin::kDwarf);
  EXPECT_EQ(layout->g_goid, 152U);
  EXPECT_EQ(layout->m_curg, std::nullopt);
  auto damaged = structs;
  damaged["runtime.g"].members.erase("waitreason");
  EXPECT_FALSE(layout_from(damaged));
  damaged = structs;
  damaged["runtime.timeHistogram"].size = 1U << 30;
  EXPECT_FALSE(layout_from(damaged));
  EXPECT_FALSE(layout_from({}));
}

}  // namespace
}  // namespace mapshift::observe::go
