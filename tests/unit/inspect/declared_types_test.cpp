// SPDX-License-Identifier: Apache-2.0
#include "update/declared_types.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "facts.h"

namespace mapshift::update {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct Declared {
  ObjectSpec object = read_fixture("patterns");
  Manifest manifest = {};
  std::vector<Problem> apply() { return apply_declared_types(manifest, std::string(FIXTURES) + "/inspect_patterns.bpf.o", object); }
};

TEST(DeclaredTypes, FillInWhatTheObjectDoesNotSay) {
  Declared d;
  d.manifest.maps["stats"].key_type = "__u32";
  EXPECT_THAT(d.apply(), IsEmpty());
  const MapSpec* stats = map_named(d.object, "stats");
  ASSERT_TRUE(stats != nullptr && stats->key);
  EXPECT_EQ(stats->key->kind, TypeKind::kInt);
  EXPECT_EQ(stats->key->size, 4U);
}

TEST(DeclaredTypes, MustHaveTheMapsSize) {
  Declared d;
  d.manifest.maps["stats"].key_type = "struct flow";
  const auto problems = d.apply();
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_EQ(problems[0].where, "maps.stats.types.key");
  EXPECT_THAT(problems[0].message, HasSubstr("struct flow has 208 bytes, and the keys of stats have 4"));
  EXPECT_FALSE(map_named(d.object, "stats")->key);
}

TEST(DeclaredTypes, MustExistAndNotContradictTheObject) {
  Declared d;
  d.manifest.maps["stats"].key_type = "struct nowhere";
  d.manifest.maps["flows"].value_type = "struct flow";
  EXPECT_THAT(d.apply(), SizeIs(1)) << "the same type may be named again";
  d.manifest.maps.erase("stats");
  d.manifest.maps["flows"].value_type = "";
  d.manifest.maps["flows"].key_type = "__u64";
  const auto problems = d.apply();
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_THAT(problems[0].message, HasSubstr("the object itself says what the keys of flows are (key)"));
}

}  // namespace
}  // namespace mapshift::update
