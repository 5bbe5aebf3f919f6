// SPDX-License-Identifier: Apache-2.0
#include "update/order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "facts.h"

namespace mapshift::update {
namespace {

using ::testing::HasSubstr;

MapAccess reads(const std::string& map, const std::string& program) {
  return {.map = map, .program = program, .looks_up = true, .reads_value = true};
}
MapAccess writes(const std::string& map, const std::string& program) {
  return {.map = map, .program = program, .looks_up = true, .writes_value = true};
}

std::vector<std::string> text(const std::vector<ProgramOrder>& order) {
  std::vector<std::string> out;
  for (const auto& program : order) out.push_back(std::to_string(program.order) + " " + program.name);
  return out;
}

TEST(SwapOrder, ConsumersBeforeProducers) {
  const auto order =
      swap_order(analyse(read_fixture("order")), {"a_producer", "b_between", "c_consumer", "d_left", "e_right", "f_alone"});
  EXPECT_THAT(text(order),
              ::testing::ElementsAre("1 c_consumer", "2 b_between", "3 a_producer", "4 d_left", "4 e_right", "5 f_alone"));
  EXPECT_THAT(order[0].reason, HasSubstr("reads second, which b_between writes"));
  EXPECT_THAT(order[2].reason, HasSubstr("writes first, which b_between reads"));
  EXPECT_THAT(order[3].reason, HasSubstr("moves together with e_right"));
  EXPECT_FALSE(order[5].reason.empty());
}

TEST(SwapOrder, DoesNotDependOnTheOrderOfItsInput) {
  CodeFacts facts;
  facts.maps = {reads("m", "z"), writes("m", "a"), reads("n", "a"), writes("n", "k"), writes("o", "b")};
  std::vector<std::string> programs = {"a", "b", "k", "z"};
  const auto expected = text(swap_order(facts, programs));
  do {
    EXPECT_EQ(text(swap_order(facts, programs)), expected);
  } while (std::next_permutation(programs.begin(), programs.end()));
  EXPECT_THAT(expected, ::testing::ElementsAre("1 b", "2 z", "3 a", "4 k"));
}

TEST(SwapOrder, TwoWritersOfAMapAreFree) {
  CodeFacts facts;
  facts.maps = {writes("m", "a"), writes("m", "b")};
  EXPECT_THAT(text(swap_order(facts, {"b", "a"})), ::testing::ElementsAre("1 a", "2 b"));
}

TEST(SwapOrder, TheChangeLogTiesNobodyTogether) {
  CodeFacts facts;
  facts.maps = {reads("ms_change_slots", "b"), writes("ms_change_slots", "a")};
  EXPECT_THAT(text(swap_order(facts, {"b", "a"})), ::testing::ElementsAre("1 a", "2 b"));
}

TEST(SwapOrder, LeavesOutProgramsThatAreNotAsked) {
  CodeFacts facts;
  facts.maps = {reads("m", "a"), writes("m", "b")};
  EXPECT_THAT(text(swap_order(facts, {"b"})), ::testing::ElementsAre("1 b"));
  EXPECT_TRUE(swap_order(facts, {}).empty());
}

}  // namespace
}  // namespace mapshift::update
