// SPDX-License-Identifier: Apache-2.0
#include "update/map_ability.h"

#include <gtest/gtest.h>

#include <set>

namespace mapshift::update {
namespace {

// Every type that has a name has a line of its own, and each line says in words what an update does.
TEST(MapKinds, TheTableKnowsEveryType) {
  std::set<MapType> known;
  for (const MapKind& kind : map_kinds()) {
    EXPECT_TRUE(known.insert(kind.type).second) << to_string(kind.type) << " stands twice";
    EXPECT_GT(kind.otherwise.size(), 10u) << to_string(kind.type);
  }
  for (uint32_t type = 1; type < 64; ++type) {
    const bool named = to_string(static_cast<MapType>(type)) != "type_" + std::to_string(type);
    EXPECT_EQ(known.contains(static_cast<MapType>(type)), named) << type;
  }
}

TEST(MapKinds, ATypeNewerThanThisReleaseIsOnlyReused) {
  EXPECT_EQ(ability_of(static_cast<MapType>(200)), MapAbility::kReuseOnly);
  EXPECT_NE(map_kind(static_cast<MapType>(200)).otherwise, "");
}

}  // namespace
}  // namespace mapshift::update
