// SPDX-License-Identifier: Apache-2.0
// What a compiler makes of common idioms, field by field and map by map.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "assembler.h"
#include "facts.h"

namespace mapshift::update {
namespace {

using ::testing::HasSubstr;

struct Idioms : ::testing::Test {
  // The template of `outer` is what the object's type information says of it.
  Idioms() : object(read_fixture("idioms")) {
    for (auto& map : object.maps) {
      if (map.name != "outer") continue;
      auto inner = *map_named(object, "left");
      map.inner = std::make_shared<const MapSpec>(std::move(inner));
    }
    facts = analyse(object);
  }
  std::optional<InferredMerge> merge(const std::string& map, const std::string& path) { return merge_of(facts, object, map, path); }
  std::string said(const std::string& map, const std::string& path) { return words(merge(map, path)); }

  ObjectSpec object;
  CodeFacts facts;
};

TEST_F(Idioms, AreAllFollowed) { EXPECT_THAT(facts.gave_up, ::testing::IsEmpty()); }

TEST_F(Idioms, PlainChangesUnderTheLockAreExact) {
  EXPECT_EQ(said("locked", "added"), "sum atomic");
  EXPECT_TRUE(merge("locked", "added")->locked);
  EXPECT_THAT(merge("locked", "added")->reason, HasSubstr("under the lock"));
  EXPECT_EQ(said("locked", "buckets[2]"), "sum atomic");
  EXPECT_EQ(said("locked", "also_outside"), "sum plain");
  EXPECT_FALSE(merge("locked", "also_outside")->locked);
  EXPECT_EQ(said("locked", "state"), "latest");
  EXPECT_TRUE(merge("locked", "state")->locked);
  EXPECT_EQ(said("locked", "set"), "latest");
  EXPECT_FALSE(merge("locked", "set")->locked);
  EXPECT_EQ(said("locked", "largest"), "max");
}

TEST_F(Idioms, SumsThatStopAtALimitSaySo) {
  for (const char* field : {"below", "capped", "saturated"}) {
    EXPECT_EQ(said("limits", field), "sum plain") << field;
    EXPECT_TRUE(merge("limits", field)->clamped) << field;
    EXPECT_THAT(merge("limits", field)->reason, HasSubstr("limit")) << field;
  }
  for (const char* field : {"steps", "down", "small", "tiny"}) {
    EXPECT_EQ(said("limits", field), "sum plain") << field;
    EXPECT_FALSE(merge("limits", field)->clamped) << field;
  }
}

TEST_F(Idioms, EveryStoreMustAdd) {
  for (const char* field : {"window", "fetched"}) EXPECT_EQ(said("limits", field), "latest warn") << field;
  EXPECT_EQ(said("limits", "bucket"), "latest");  // what is taken away from is no longer what was loaded
  EXPECT_EQ(said("limits", "kept"), "first");
  EXPECT_EQ(said("limits", "rising"), "max");
  EXPECT_EQ(said("limits", "bits"), "or plain");
  EXPECT_EQ(said("slots", ""), "latest");
}

TEST_F(Idioms, ArraysInStructuresAreTheOnlyOnesThatTheirIndexReaches) {
  EXPECT_EQ(said("nested", "outer.inner.counts"), "sum atomic");
  EXPECT_EQ(said("nested", "before"), "sum atomic");
  EXPECT_EQ(said("nested", "after"), "sum atomic");
  EXPECT_EQ(said("nested", "outer.total"), "-");
  EXPECT_EQ(said("nested", "outer.inner.first"), "-");
}

TEST_F(Idioms, ScratchIsWrittenBeforeItIsRead) {
  EXPECT_FALSE(use_of(facts, "scratch").reads_earlier);
  EXPECT_TRUE(use_of(facts, "scratch").reads_value);
  EXPECT_TRUE(use_of(facts, "not_scratch").reads_earlier);
  EXPECT_TRUE(use_of(facts, "perhaps").reads_earlier);
}

TEST_F(Idioms, ValuesFromTheStack) {
  EXPECT_EQ(said("put_back", "count"), "sum plain");
  EXPECT_EQ(said("put_back", "last"), "latest");
  const auto back = use_of(facts, "put_back"), lived = use_of(facts, "short_lived");
  EXPECT_TRUE(back.replaces && !back.inserts && !back.deletes && !back.in_place);
  EXPECT_TRUE(lived.inserts && lived.deletes && !lived.replaces && !lived.in_place);
}

TEST_F(Idioms, APointerToEitherOfTwoMaps) {
  for (const char* map : {"left", "right"}) {
    EXPECT_EQ(said(map, "count"), "sum plain") << map;
    EXPECT_EQ(said(map, "last"), "latest") << map;
    EXPECT_TRUE(use_of(facts, map).in_place);
  }
}

TEST_F(Idioms, APointerToEitherOfTwoFields) {
  for (const char* way : {"forward", "reply"}) {
    EXPECT_EQ(said("ways", way), "sum atomic") << way << ": " << merge("ways", way)->reason;
    EXPECT_TRUE(merge("ways", way)->locked) << way;
    EXPECT_EQ(said("ways", std::string("packets_") + way), "sum atomic") << way;
    EXPECT_EQ(said("ways", std::string(way) + "_atomic"), "sum atomic") << way;
    EXPECT_FALSE(merge("ways", std::string(way) + "_atomic")->locked) << way;
    EXPECT_EQ(said("ways", std::string(way) + "_seen"), "latest") << way;
  }
  EXPECT_EQ(said("ways", "last"), "latest");
}

TEST_F(Idioms, CallbacksOfTimers) {
  EXPECT_EQ(said("timed", "fired"), "sum plain");
  EXPECT_EQ(said("timed", "armed"), "sum atomic");
}

TEST_F(Idioms, MapsThatProgramsOnlyRead) {
  const auto rules = use_of(facts, "rules");
  EXPECT_TRUE(rules.looks_up && rules.reads_value && rules.reads_earlier);
  EXPECT_FALSE(rules.written() || rules.unseen);
  EXPECT_TRUE(use_of(facts, "limits").written());
}

TEST_F(Idioms, MapsInsideOfAMap) {
  const auto name = inner_name("outer");
  EXPECT_EQ(words(infer_merge({}, name, facts, name, 0, 0, 0, 8)), "sum atomic");
  EXPECT_EQ(words(infer_merge({}, name, facts, name, 0, 0, 8, 8)), "latest");
  EXPECT_TRUE(use_of(facts, name).in_place);
  EXPECT_TRUE(use_of(facts, "outer").looks_up);
  EXPECT_FALSE(use_of(facts, "outer").written());
}

TEST(Idiom, InnerMapsOfUnknownFormAreNotFollowed) {
  auto object = Assembler().lookup().exit().object();
  object.maps[0].type = MapType::kHashOfMaps;
  EXPECT_TRUE(use_of(analyse(object), "m").unseen);
  EXPECT_THAT(analyse(object).gave_up.at(0), HasSubstr("inside of m"));
}

// Between a few places, each is added to; between more it may be any.
TEST(Idiom, AnAddressOfAFewOffsets) {
  const auto at_8 = [](int ways, int apart) {
    Assembler program;
    program.lookup().copy(6, 0).load(3, 6, 0).mov(1, 0);
    for (int way = 1; way < ways; ++way) program.jump(BPF_JNE, 3, way, 1).mov(1, way * apart);
    program.alu_reg(BPF_ADD, 6, 1).load(2, 6, 0).alu(BPF_ADD, 2, 1).store(6, 0, 2).exit();
    const CodeFacts facts = analyse(program.object());
    return words(infer_merge({}, "m", facts, "m", 0, 0, 8, 8));
  };
  EXPECT_EQ(at_8(2, 8), "sum plain");
  EXPECT_EQ(at_8(4, 8), "sum plain");
  EXPECT_EQ(at_8(2, 16), "-") << "no way leads there";
  EXPECT_EQ(at_8(4, 4), "latest warn") << "half of it is added to as well";
  EXPECT_EQ(at_8(5, 4), "latest");
  EXPECT_EQ(at_8(2000, 8), "latest");
  // A pointer that walks is one to anywhere, and following it ends.
  Assembler loop;
  loop.lookup().copy(6, 0).load(2, 6, 0).alu(BPF_ADD, 2, 1).store(6, 0, 2).alu(BPF_ADD, 6, 8).jump(BPF_JNE, 2, 0, -5).exit();
  const CodeFacts facts = analyse(loop.object());
  EXPECT_TRUE(facts.gave_up.empty());
  EXPECT_EQ(words(infer_merge({}, "m", facts, "m", 0, 0, 8, 8)), "latest");
}

// What one run does to one element says nothing of another's.
TEST(Idiom, ScratchOfSeveralElements) {
  const auto earlier = [](const Assembler& program, uint32_t entries) {
    auto object = program.object();
    object.maps[0].type = MapType::kPercpuArray;
    object.maps[0].max_entries = entries;
    return use_of(analyse(object), "m").reads_earlier;
  };
  Assembler twice;
  twice.lookup().store(0, 0, 10).lookup().load(1, 0, 0).exit();
  EXPECT_FALSE(earlier(twice, 1));
  EXPECT_TRUE(earlier(twice, 2));
  EXPECT_FALSE(earlier(Assembler().lookup().mov(1, 5).store(0, 0, 1).load(1, 0, 0).exit(), 2));
  EXPECT_TRUE(earlier(Assembler().lookup().mov(1, 5).store(0, 0, 1).load(1, 0, 4).exit(), 2));
  EXPECT_TRUE(earlier(Assembler().lookup().mov(1, 5).atomic(BPF_ADD, 0, 0, 1).exit(), 1));
}

}  // namespace
}  // namespace mapshift::update
