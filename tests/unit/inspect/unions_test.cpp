// SPDX-License-Identifier: Apache-2.0
// What clang makes of the macros beside a union.
#include <gmock/gmock.h>

#include <algorithm>

#include "facts.h"
#include "update/schema_diff.h"

namespace mapshift::update {
namespace {

using ::testing::IsEmpty;

TEST(Unions, AreDeclaredInTheSource) {
  const ObjectSpec object = read_fixture("unions");
  const MapSpec *before = map_named(object, "before"), *after = map_named(object, "after");
  ASSERT_TRUE(before != nullptr && after != nullptr && before->value && after->value);
  const SchemaDiff diff = diff_values({.where = "maps.m", .old_value = {before->value, before->value_size}, .new_value = {after->value, after->value_size}});
  for (const Problem& problem : diff.refusals) ADD_FAILURE() << problem.where << ": " << problem.message;
  for (const Problem& problem : diff.warnings) ADD_FAILURE() << problem.where << ": " << problem.message;
  const auto field = [&](const std::string& name) {
    const auto found = std::ranges::find(diff.fields, name, &FieldRecord::name);
    EXPECT_NE(found, diff.fields.end()) << name;
    return found == diff.fields.end() ? FieldRecord() : *found;
  };
  EXPECT_EQ(field("u.tcp.packets").merge, "sum");
  EXPECT_EQ(field("u.tcp.packets").when, "kind is TCP");
  EXPECT_EQ(field("u.tcp.seq").change, "widened u32 to u64");
  EXPECT_EQ(field("u.tcp.flags").change, "new");
  EXPECT_EQ(field("u.datagram.bytes").from, "u.udp.bytes");
  EXPECT_EQ(field("u.datagram.bytes").when, "kind is 136 or UDP");
  EXPECT_EQ(field("v4").when, "family is 2");
  EXPECT_EQ(field("v4").change, "widened u32 to u64");
  EXPECT_EQ(field("v6").when, "family is (0x0a)");
  ASSERT_EQ(diff.unions.size(), 2U);
  EXPECT_TRUE(std::ranges::any_of(diff.ops, [](const SyncField& op) { return op.in_union != 0 && op.arm == 0 && op.zero; }));
}

}  // namespace
}  // namespace mapshift::update
