// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <set>

#include "update/merge/merge_policy.h"
#include "update/record.h"
#include "update/schema_diff_tags.h"

namespace mapshift::update {
namespace {

TEST(MergeTable, EveryPolicyIsCompleteAndFound) {
  std::set<std::string_view> names;
  std::set<Merge> merges;
  for (const MergePolicy* policy : merge_policies()) {
    EXPECT_TRUE(names.insert(policy->name).second) << policy->name;
    EXPECT_TRUE(merges.insert(policy->merge).second) << policy->name;
    EXPECT_GT(policy->help.size(), 20U) << policy->name;
    ASSERT_NE(policy->unfit, nullptr);
    EXPECT_EQ(find_policy(policy->name), policy);
    EXPECT_EQ(&policy_of(policy->merge), policy);
    EXPECT_FALSE(policy->unfit({true, false, 8, 8, 16})) << policy->name << " must take an aligned 64-bit integer";
  }
  EXPECT_EQ(names, (std::set<std::string_view>{"sum", "latest", "max", "min", "or", "first"}));
  EXPECT_EQ(find_policy("newest"), nullptr);
}

TEST(Tags, NumbersAsMacrosSpellThem) {
  EXPECT_EQ(parse_c_integer("8"), 8);
  EXPECT_EQ(parse_c_integer("(-0x10)"), -16);
  EXPECT_EQ(parse_c_integer("1000ULL"), 1000);
  EXPECT_EQ(parse_c_integer("0xffffffffffffffffULL"), -1);
  EXPECT_EQ(parse_c_integer("HZ * 2"), std::nullopt);
  EXPECT_EQ(parse_c_integer("()"), std::nullopt);
}

TEST(Tags, UnknownOnesAreProblemsAndForeignOnesAreNot) {
  std::vector<Problem> problems;
  const RawTags tags = read_tags({"mapshift:merge=max", "mapshift:epoch=3", "kptr", "mapshift:merge=newest"}, "maps.m", problems);
  EXPECT_EQ(tags.merge, Merge::kMax);
  EXPECT_EQ(tags.epoch, 3);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].code, "bad-tag");
}

TEST(State, NamesAndEnds) {
  EXPECT_EQ(to_string(State::kRollingBack), "rolling_back");
  EXPECT_TRUE(is_final(State::kStuck));
  EXPECT_FALSE(is_final(State::kBaking));
  EXPECT_FALSE(is_final(State::kPlanned));
}

}  // namespace
}  // namespace mapshift::update
