// SPDX-License-Identifier: Apache-2.0
#include "update/inference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "facts.h"

namespace mapshift::update {
namespace {

using ::testing::HasSubstr;

struct Expected {
  const char* map;
  const char* path;
  const char* words;
};

void check(const std::string& fixture, const std::vector<Expected>& all) {
  const auto object = read_fixture(fixture);
  const auto facts = analyse(object);
  EXPECT_TRUE(facts.gave_up.empty()) << facts.gave_up.front();
  for (const auto& expected : all) {
    const auto merge = merge_of(facts, object, expected.map, expected.path);
    EXPECT_EQ(words(merge), expected.words) << fixture << ": " << expected.map << "." << expected.path << ": "
                                            << (merge ? merge->reason : "");
  }
}

TEST(Inference, EveryPatternOfOneProgram) {
  check("patterns", {{"flows", "packets", "sum atomic"},
                     {"flows", "bytes", "sum plain"},
                     {"flows", "first_seen", "first"},
                     {"flows", "last_seen", "latest"},
                     {"flows", "largest", "max"},
                     {"flows", "smallest", "min"},
                     {"flows", "flags", "or plain"},
                     {"flows", "seen_flags", "or atomic"},
                     {"flows", "errors", "sum plain"},     // in a subprogram
                     {"flows", "retries", "sum plain"},
                     {"flows", "state", "latest"},
                     {"flows", "hist", "sum plain"},       // at a variable index: the whole array
                     {"flows", "hist[5]", "sum plain"},
                     {"flows", "slot[0].hits", "sum plain"},
                     {"flows", "slot[3].hits", "sum plain"},
                     {"flows", "slot[2].at", "latest"},
                     {"stats", "seen", "sum plain"},
                     {"stats", "dropped", "-"},
                     {"rewritten", "seen", "sum plain"},   // looked up, changed and put back whole
                     {"rewritten", "dropped", "latest"},
                     {"limits", "", "-"},                  // only read
                     {"cursor", "", "latest warn"},        // added to, but an index
                     {"bss", "total", "sum atomic"},
                     {"bss", "highest", "max"},
                     {"data", "generation", "-"},
                     {"data_tables", "table", "sum plain"}});
}

void check_loops(const std::string& fixture) {
  check(fixture, {{"cells", "hits", "sum plain"},
                  {"cells", "best", "max"},
                  {"cells", "once", "first"},
                  {"cells", "lowest", "min"},
                  {"cells", "counts", "sum plain"},
                  {"local", "counts", "sum plain"},
                  {"local", "hits", "-"},
                  {"odd", "", "sum atomic"},               // one of two maps, chosen at run time
                  {"even", "", "sum atomic"},
                  {"replaced", "", "sum plain"},
                  {"moved", "", "latest"},                 // another key's value: not an addition
                  {"swapped", "hits", "sum atomic"},       // compare and swap
                  {"swapped", "best", "sum plain"},        // stops at its largest value
                  {"swapped", "counts[0]", "max"},
                  {"swapped", "counts[1]", "min"},
                  {"swapped", "counts[7]", "-"},
                  {"swapped", "counts[8]", "latest"},      // written by a helper
                  {"swapped", "counts[11]", "latest"},
                  {"swapped", "counts[12]", "-"}});
}

TEST(Inference, LoopsCallsAndCallbacks) { check_loops("loops"); }
TEST(Inference, OlderInstructionSets) { check_loops("loops_v2"); }

TEST(Inference, NamesTheInstruction) {
  const auto object = read_fixture("patterns");
  const auto facts = analyse(object);
  const auto packets = merge_of(facts, object, "flows", "packets");
  ASSERT_TRUE(packets);
  EXPECT_THAT(packets->reason, ::testing::MatchesRegex("atomic add at insn [0-9]+ of count_packets"));
  const auto errors = merge_of(facts, object, "flows", "errors");
  ASSERT_TRUE(errors);
  EXPECT_THAT(errors->reason, HasSubstr("of count_error (called by count_packets)"));
}

TEST(Inference, SaysWhoUsesAMap) {
  const auto object = read_fixture("patterns");
  const auto facts = analyse(object);
  const auto* writer = access_of(facts, "count_packets", "flows");
  ASSERT_NE(writer, nullptr);
  EXPECT_TRUE(writer->looks_up && writer->updates && writer->writes_value && writer->reads_value && !writer->deletes);
  const auto* reader = access_of(facts, "on_exec", "flows");
  ASSERT_NE(reader, nullptr);
  EXPECT_TRUE(reader->looks_up && reader->reads_value && !reader->updates && !reader->writes_value && !reader->deletes);
  const auto* ring = access_of(facts, "on_exit", "events");
  ASSERT_NE(ring, nullptr);
  EXPECT_TRUE(ring->updates);
  const auto loops = analyse(read_fixture("loops"));
  const auto* mover = access_of(loops, "on_enter", "moved");
  ASSERT_NE(mover, nullptr);
  EXPECT_TRUE(mover->deletes);
  EXPECT_EQ(access_of(facts, "on_exec", "stats"), nullptr);
}

FieldAccess touch(AccessKind kind, uint32_t offset, uint32_t size, uint32_t stride = 0, uint32_t end = 0) {
  return {.map = "m",
          .offset = offset,
          .size = size,
          .stride = stride,
          .end = end,
          .kind = kind,
          .program = "p",
          .insn = 1,
          .function = "p"};
}

std::string merge_words(std::vector<FieldAccess> old_fields, std::vector<FieldAccess> new_fields, uint32_t offset = 0,
                        uint32_t size = 8) {
  return words(
      infer_merge({std::move(old_fields), {}, {}}, "m", {std::move(new_fields), {}, {}}, "m", offset, size, offset, size));
}

TEST(InferMerge, EveryStoreOfBothGenerationsCounts) {
  const auto add = touch(AccessKind::kAtomicAdd, 0, 8), plain = touch(AccessKind::kAddStore, 0, 8),
             set = touch(AccessKind::kStore, 0, 8);
  const auto insert = touch(AccessKind::kInsertOnly, 0, 32), read = touch(AccessKind::kRead, 0, 8);
  EXPECT_EQ(merge_words({}, {}), "-");
  EXPECT_EQ(merge_words({read}, {read}), "-");
  EXPECT_EQ(merge_words({add, read}, {add, insert}), "sum atomic");
  EXPECT_EQ(merge_words({plain}, {add}), "sum plain");
  EXPECT_EQ(merge_words({add}, {plain}), "sum plain");
  EXPECT_EQ(merge_words({add}, {set}), "latest warn");
  EXPECT_EQ(merge_words({set}, {add}), "latest warn");
  EXPECT_EQ(merge_words({set}, {insert}), "latest");
  EXPECT_EQ(merge_words({insert}, {read}), "first");
  EXPECT_EQ(merge_words({}, {add}), "sum atomic");
  EXPECT_EQ(merge_words({add}, {touch(AccessKind::kFeedsAddress, 0, 8)}), "latest warn");
  EXPECT_EQ(merge_words({touch(AccessKind::kMaxStore, 0, 8)}, {touch(AccessKind::kMinStore, 0, 8)}), "latest warn");
  EXPECT_EQ(merge_words({touch(AccessKind::kOrStore, 0, 8)}, {touch(AccessKind::kAtomicOr, 0, 8)}), "or plain");
}

TEST(InferMerge, OnlyTheFieldAsAWholeIsAdded) {
  EXPECT_EQ(merge_words({}, {touch(AccessKind::kAtomicAdd, 0, 8)}, 0, 4), "latest");   // both halves of 8 bytes at once
  EXPECT_EQ(merge_words({}, {touch(AccessKind::kAtomicAdd, 4, 4)}, 0, 8), "latest");   // the upper half
  EXPECT_EQ(merge_words({}, {touch(AccessKind::kAtomicAdd, 8, 8)}, 0, 8), "-");
  EXPECT_EQ(merge_words({}, {touch(AccessKind::kAtomicAdd, 8, 8)}, 0, 16), "sum atomic");  // an element of an array
}

TEST(InferMerge, ADeclaredMergeNeedsToKnowOfPlainStores) {
  const auto atomic = [](std::vector<FieldAccess> fields) {
    return infer_merge({}, "m", {std::move(fields), {}, {}}, "m", 0, 8, 0, 8).value().atomic;
  };
  const auto add = touch(AccessKind::kAtomicAdd, 0, 8), half = touch(AccessKind::kAtomicAdd, 0, 4);
  auto set = touch(AccessKind::kStore, 0, 8);
  EXPECT_FALSE(atomic({set}));
  EXPECT_FALSE(atomic({add, set})) << "ambiguous";
  EXPECT_TRUE(atomic({half}));
  set.atomic = true;  // an exchange
  EXPECT_TRUE(atomic({set}));
  EXPECT_TRUE(atomic({add, set}));
  set.atomic = false;
  set.locked = true;
  EXPECT_TRUE(atomic({set}));
}

TEST(InferMerge, StridesReachTheirElementsOnly) {
  const auto hits = touch(AccessKind::kAtomicAdd, 16, 8, 16, 80);  // 16, 32, 48, 64
  EXPECT_EQ(merge_words({}, {hits}, 16), "sum atomic");
  EXPECT_EQ(merge_words({}, {hits}, 64), "sum atomic");
  EXPECT_EQ(merge_words({}, {hits}, 24), "-");
  EXPECT_EQ(merge_words({}, {hits}, 72), "-");
  EXPECT_EQ(merge_words({}, {hits}, 80), "-");
  EXPECT_EQ(merge_words({}, {hits}, 0), "-");
  EXPECT_EQ(merge_words({}, {touch(AccessKind::kStore, 0, 8, 1, 64)}, 3, 1), "latest");
}

TEST(InferMerge, SidesHaveTheirOwnNamesAndOffsets) {
  auto before = touch(AccessKind::kAtomicAdd, 0, 4);
  before.map = "old";
  auto after = touch(AccessKind::kAtomicAdd, 24, 8);
  after.map = "new";
  const auto merge = infer_merge({{before}, {}, {}}, "old", {{after}, {}, {}}, "new", 0, 4, 24, 8);
  EXPECT_EQ(words(merge), "sum atomic");
  EXPECT_EQ(words(infer_merge({{before}, {}, {}}, "old", {{after}, {}, {}}, "new", 0, 0, 16, 8)), "-");
}

TEST(InferMerge, WarnsWhereTheAnalysisStopped) {
  const auto merge = infer_merge({}, "m", {{touch(AccessKind::kAtomicAdd, 0, 8)}, {}, {"p: too long"}}, "m", 0, 8, 0, 8);
  ASSERT_TRUE(merge);
  EXPECT_EQ(merge->merge, Merge::kSum);
  EXPECT_TRUE(merge->warn);
  EXPECT_THAT(merge->reason, HasSubstr("p: too long"));
}

}  // namespace
}  // namespace mapshift::update
