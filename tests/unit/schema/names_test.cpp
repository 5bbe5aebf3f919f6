// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>

#include "planner_testing.h"
#include "update/names.h"

namespace mapshift::update {
namespace {
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

ObjectSpec object() {
  ObjectSpec object;
  object.maps = {map_of("flows", MapType::kHash, u32(), structure("v", {{"packets", u64()}, {"in", structure("i", {{"a", u32()}})}})),
                 map_of("jumps", MapType::kProgArray, u32(), u32(), 4), section_of("bss", DataSection::kBss, {{"dropped", u64()}}),
                 section_of("rodata", DataSection::kRodata, {{"limit", u32()}})};
  object.programs = {program_of("count_packets")};
  return object;
}

TEST(Names, NearestIsCloseOrNothing) {
  EXPECT_EQ(nearest("flow", {"flows", "stats"}), "flows");
  EXPECT_EQ(nearest("xyzzy", {"flows", "stats"}), "");
  EXPECT_EQ(nearest("", {"a"}), "");
}

TEST(Names, NearestLooksAtNoMoreThanItCanCompareAtOnce) {
  std::vector<std::string> many(100'000, std::string(200, 'x'));
  many.push_back(std::string(199, 'y') + "z");
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(nearest(std::string(200, 'y'), many), "");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

TEST(Names, EveryUnknownNameInOneAnswer) {
  Manifest m;
  m.programs["count_packet"] = {};
  m.optional_programs = {"cunt_packets"};
  m.maps["flow"] = {};
  m.maps["flows"].fields["packet"] = {};
  m.maps["flows"].fields["in.b"] = {};
  m.rodata["limits"] = {int64_t{1}};
  m.prog_arrays["jump"] = {};
  m.prog_arrays["jumps"] = {{0, "count_pakets"}};
  const auto problems = check_names(m, object());
  EXPECT_THAT(problems, SizeIs(8)) << messages(problems);
  EXPECT_THAT(codes(problems), Each("unknown-name"));
  EXPECT_THAT(messages(problems), HasSubstr("maps.flow: there is no map \"flow\" in the object: did you mean \"flows\"?"));
  EXPECT_THAT(messages(problems), HasSubstr("did you mean \"count_packets\""));
  EXPECT_THAT(messages(problems), HasSubstr("did you mean \"limit\""));
}

TEST(Names, MapsThatAnotherLoaderSizes) {
  ObjectSpec unsized = object();
  unsized.maps[0].max_entries = 0;
  unsized.maps.push_back(map_of("events", MapType::kPerfEventArray, nullptr, nullptr, 0));
  Manifest m;
  const auto problems = check_names(m, unsized);
  EXPECT_THAT(codes(problems), ::testing::ElementsAre("no-max-entries"));
  EXPECT_THAT(messages(problems), HasSubstr("\"maps\": {\"flows\": {\"max_entries\""));
  m.maps["flows"].max_entries = 10;
  EXPECT_THAT(messages(check_names(m, unsized)), IsEmpty());
}

TEST(Names, KnownNamesPass) {
  Manifest m;
  m.programs["count_packets"] = {};
  m.maps["flows"].fields["in"] = {};
  m.maps["flows"].fields["in.a"] = {};
  m.maps["bss"].fields["dropped"] = {};
  m.rodata["limit"] = {int64_t{1}};
  m.prog_arrays["jumps"] = {{3, "count_packets"}};
  EXPECT_THAT(messages(check_names(m, object())), IsEmpty());
  m.prog_arrays["jumps"] = {{4, "count_packets"}};
  m.prog_arrays["flows"] = {};
  EXPECT_THAT(codes(check_names(m, object())), ::testing::UnorderedElementsAre("slot-out-of-range", "wrong-map-type"));
}

}  // namespace
}  // namespace mapshift::update
