// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "diff_testing.h"

namespace mapshift::update {
namespace {
using ::testing::HasSubstr;

KeyDiff keys(TypeRef a, TypeRef b) { return diff_keys({a, a->size}, {b, b->size}); }

TEST(Key, TheSameBytesAreTheSameKey) {
  const auto flat = structure("k", {{"a", u32()}, {"b", u32()}});
  EXPECT_TRUE(keys(flat, flat).same);
  EXPECT_TRUE(keys(flat, structure("k", {{"in", structure("i", {{"a", u32()}, {"b", u32()}})}})).same);
  EXPECT_TRUE(diff_keys({nullptr, 8}, {nullptr, 8}).same);
}

TEST(Key, DifferencesAreNamed) {
  const auto flat = structure("k", {{"saddr", u32()}, {"daddr", u32()}});
  EXPECT_THAT(keys(flat, structure("k", {{"daddr", u32()}, {"saddr", u32()}})).reason, HasSubstr("daddr moved from byte 4 to 0"));
  EXPECT_THAT(keys(flat, structure("k", {{"saddr", u64()}})).reason, HasSubstr("fields"));
  EXPECT_THAT(keys(flat, structure("k", {{"saddr", u64()}, {"daddr", u32()}})).reason, HasSubstr("size changed"));
  EXPECT_THAT(keys(flat, structure("k", {{"saddr", u32()}, {"x", u16()}, {"y", u16()}})).reason, HasSubstr("3 fields instead of 2"));
  EXPECT_THAT(diff_keys({flat, 8}, {nullptr, 8}).reason, HasSubstr("no type information"));
  const auto e = enumeration("e", {{"A", 0}, {"B", 1}}), moved = enumeration("e", {{"B", 0}, {"A", 1}});
  EXPECT_THAT(keys(e, moved).reason, HasSubstr("moved"));
}

}  // namespace
}  // namespace mapshift::update
