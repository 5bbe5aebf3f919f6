// SPDX-License-Identifier: Apache-2.0
// Type information that lies: bounded work, one clear error, never a layout that reaches out of its value.
#include "kernel/btf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "btf_builder.h"
#include "update/schema_diff.h"

namespace mapshift::update {
namespace {

using ::testing::HasSubstr;

std::string why_not(const BtfBuilder& types, uint32_t id) {
  auto parsed = BtfTypes::parse(types.bytes());
  if (!parsed) return "not well formed: " + parsed.error().message;
  const auto type = parsed->type(id);
  return type ? "" : type.error().message;
}

// The first integer, of 4 bytes, is type 1 of all of these.
struct Types : BtfBuilder {
  Types() { integer("unsigned int", 4); }
};

TEST(Btf, ATypeThatContainsItself) {
  Types types;
  const uint32_t self = types.next();
  types.structure("loop", 8, {{"a", 1}, {"in", self}});
  EXPECT_THAT(why_not(types, self), HasSubstr("nested deeper than 32"));
  Types mutual;
  const uint32_t first = mutual.next();
  mutual.structure("first", 4, {{"second", first + 1}});
  mutual.structure("second", 4, {{"first", first + 2}});
  mutual.array(first, 1);
  EXPECT_THAT(why_not(mutual, first), HasSubstr("nested deeper"));
  for (const uint32_t kind : {BTF_KIND_TYPEDEF, BTF_KIND_CONST, BTF_KIND_VOLATILE}) {
    Types alias;
    const uint32_t id = alias.next();
    alias.alias(kind, kind == BTF_KIND_TYPEDEF ? "t" : "", id);
    EXPECT_THAT(why_not(alias, id), HasSubstr("nested deeper")) << kind;
    EXPECT_EQ(why_not(alias, alias.pointer(id)), "") << "a pointer is a leaf, whatever it points to";
  }
  Types through_pointer;  // as every list does
  const uint32_t list = through_pointer.next();
  through_pointer.structure("list", 8, {{"next", list + 1}}, 64);
  through_pointer.pointer(list);
  EXPECT_EQ(why_not(through_pointer, list), "");
}

TEST(Btf, ThousandsOfMembers) {
  Types types;
  BtfBuilder::Members members;
  for (int n = 0; n < 4000; ++n) members.emplace_back("m", 1);
  EXPECT_EQ(why_not(types, types.structure("many", 16000, members)), "");
  for (int n = 0; n < 1000; ++n) members.emplace_back("m", 1);
  EXPECT_THAT(why_not(types, types.structure("more", 20000, members)), HasSubstr("5000 members, at most 4096"));
  EXPECT_THAT(why_not(types, types.enumeration("values", 5000)), HasSubstr("5000 values, at most 4096"));
  BtfBuilder::Members all;
  members.resize(4000);
  for (int n = 0; n < 20; ++n) all.emplace_back("s", types.structure("s" + std::to_string(n), 16000, members));
  EXPECT_THAT(why_not(types, types.structure("all", 20 * 16000, all, 16000 * 8)), HasSubstr("more than 65536 members"));
}

// Each level twice the one below: few types, and a layout without end.
TEST(Btf, TypesThatGrowByDoubling) {
  Types types;
  uint32_t below = 1, size = 4;
  for (int level = 0; level < 14; ++level) {
    below = types.structure("level" + std::to_string(level), size * 2, {{"a", below}, {"b", below}}, size * 8);
    size *= 2;
  }
  auto parsed = BtfTypes::parse(types.bytes());
  ASSERT_TRUE(parsed);
  const auto type = parsed->type(below);
  ASSERT_TRUE(type) << type.error().message;
  const SchemaDiff diff = diff_values({.where = "maps.m", .old_value = {*type, size}, .new_value = {*type, size}});
  EXPECT_FALSE(diff.refusals.empty());
  Types empty;  // of no size, so that no limit on sizes stops them; the kernel walks them all
  uint32_t hollow = empty.structure("hollow", 0, {});
  for (int level = 0; level < 26; ++level) hollow = empty.structure("hollow", 0, {{"a", hollow}, {"b", hollow}}, 0);
  EXPECT_THAT(why_not(empty, hollow), HasSubstr("more than 65536 members"));
  Types arrays;
  uint32_t row = 1;
  for (int level = 0; level < 8; ++level) row = arrays.array(row, 1U << 20);
  EXPECT_THAT(why_not(arrays, row), HasSubstr("an array of"));
}

TEST(Btf, MembersThatLieElsewhere) {
  Types types;
  EXPECT_THAT(why_not(types, types.structure("small", 4, {{"a", 1}, {"b", 1}})), HasSubstr("member \"b\" lies outside of it"));
  EXPECT_THAT(why_not(types, types.structure("crooked", 12, {{"a", 1}, {"b", 1}}, 33)), HasSubstr("not at a byte"));
  EXPECT_THAT(why_not(types, types.structure("far", 12, {{"a", 1}, {"b", 1}}, 0x80000000)), HasSubstr("lies outside"));
  EXPECT_THAT(why_not(types, types.structure("union", 2, {{"a", 1}}, 0, BTF_KIND_UNION)), HasSubstr("lies outside"));
  EXPECT_EQ(why_not(types, types.structure("same", 4, {{"a", 1}, {"b", 1}}, 0)), "") << "overlaps are found where layouts are read";
  EXPECT_THAT(why_not(types, 4711), "") << "an id that does not exist is void, without a size";
}

// Before clang 7 a bit-field was an integer of fewer bits than its bytes hold.
TEST(Btf, BitFieldsOfOlderCompilers) {
  Types types;
  const uint32_t narrow = types.integer("unsigned int", 4, 5);
  const uint32_t id = types.structure("flags", 4, {{"low", narrow}, {"high", narrow}}, 5);
  auto parsed = BtfTypes::parse(types.bytes());
  ASSERT_TRUE(parsed) << parsed.error().message;
  const auto type = parsed->type(id);
  ASSERT_TRUE(type) << type.error().message;
  EXPECT_EQ((*type)->members.at(1).bit_size, 5U);
  EXPECT_EQ((*type)->members.at(1).bit_offset, 5U);
}

struct Maps : Types {
  uint32_t word = pointer(1);
  Maps& map(const std::string& name, const Members& definition) {
    defined.push_back(variable(name, structure("", static_cast<uint32_t>(8 * definition.size()), definition, 64)));
    return *this;
  }
  [[nodiscard]] Result<std::vector<BtfTypes::MapDefinition>> read() {
    section(".maps", defined);
    MS_TRY(auto parsed, BtfTypes::parse(bytes()));
    return parsed.maps();
  }
  [[nodiscard]] std::string problem() {
    const auto maps = read();
    return maps ? "" : maps.error().message;
  }
  std::vector<uint32_t> defined = {};
};

TEST(BtfMaps, AHashOfMapsHasTheKeyThatItsTypeSays) {
  Maps maps;
  const uint32_t service = maps.structure("service", 8, {{"address", 1}, {"port", 1}}), hash_of_maps = maps.number(13), hash = maps.number(1);
  const uint32_t inner = maps.pointer(maps.structure("inner", 24, {{"type", hash}, {"key", maps.word}, {"value", maps.pointer(service)}}, 64));
  maps.map("services", {{"type", hash_of_maps}, {"key", maps.pointer(service)}, {"values", maps.array(inner, 0)}});
  maps.map("values_first", {{"values", maps.array(inner, 0)}, {"type", hash_of_maps}, {"key", maps.pointer(service)}});
  maps.map("plain", {{"type", hash_of_maps}, {"values", maps.array(inner, 0)}});
  const auto read = maps.read();
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->at(0).spec.key_size, 8U);
  EXPECT_EQ(read->at(1).spec.key_size, 8U);
  EXPECT_EQ(read->at(2).spec.key_size, 4U);
  for (const auto& map : *read) {
    EXPECT_EQ(map.spec.value_size, 4U);
    ASSERT_NE(map.spec.inner, nullptr);
    EXPECT_EQ(map.spec.inner->value_size, 8U);
  }
}

TEST(BtfMaps, ATypeThatIsOnlyDeclaredSaysWhatToChange) {
  Maps maps;
  const uint32_t flow = maps.pointer(maps.forward("flow")), hash = maps.number(1);
  const uint32_t inner = maps.pointer(maps.structure("inner", 24, {{"type", hash}, {"key", maps.word}, {"value", flow}}, 64));
  maps.map("outer", {{"type", maps.number(13)}, {"key", maps.word}, {"values", maps.array(inner, 0)}});
  const std::string why = maps.problem();
  EXPECT_THAT(why, HasSubstr("map \"outer.inner\": its value type \"struct flow\" is declared"));
  EXPECT_THAT(why, HasSubstr("__noinline"));
}

TEST(BtfMaps, ATypeThatCannotBeReadIsNamedWithItsMap) {
  Maps maps;
  const uint32_t self = maps.next();
  maps.structure("", 8, {{"in", self}});
  maps.map("flows", {{"type", maps.number(1)}, {"key", maps.word}, {"value", maps.pointer(self)}});
  const std::string why = maps.problem();
  EXPECT_THAT(why, HasSubstr("map \"flows\", its value: the unnamed type"));
  EXPECT_THAT(why, HasSubstr("contains itself"));
}

TEST(BtfMaps, NamesShowNoControlCharacters) {
  Maps maps;
  maps.map("a\nb\x1b[2J", {{"type", 1}});
  EXPECT_THAT(maps.problem(), HasSubstr("map \"a?b?[2J\""));
}

// What libbpf has to say goes into the error, not to stderr.
TEST(Btf, WhatIsNotWellFormedIsSaid) {
  Types types;
  types.pointer(4711);
  ::testing::internal::CaptureStderr();
  const auto parsed = BtfTypes::parse(types.bytes());
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  ASSERT_FALSE(parsed);
  EXPECT_THAT(parsed.error().message, HasSubstr("not well formed"));
  EXPECT_THAT(parsed.error().context, HasSubstr("invalid referenced type ID 4711"));
}

TEST(BtfMaps, DefinitionsThatContradictThemselves) {
  const auto problem = [](const auto& define) {
    Maps maps;
    define(maps);
    return maps.problem();
  };
  EXPECT_THAT(problem([](Maps& m) { m.map("m", {{"type", m.number(1)}, {"key_size", m.number(8)}, {"key", m.word}}); }), HasSubstr("drop key_size"));
  EXPECT_THAT(problem([](Maps& m) { m.map("m", {{"type", 1}}); }), HasSubstr("\"type\" is not a number"));
  EXPECT_THAT(problem([](Maps& m) { m.map("m", {{"key", 1}}); }), HasSubstr("is not a type"));
  EXPECT_THAT(problem([](Maps& m) { m.defined.push_back(m.variable("m", 1)); }), HasSubstr("not defined by a struct"));
  EXPECT_THAT(problem([](Maps& m) { m.defined.push_back(1); }), HasSubstr("not defined by a struct"));
  EXPECT_THAT(problem([](Maps& m) { m.map("m", {{"type", m.number(13)}, {"values", 1}}); }), HasSubstr("not defined by a struct"));
  EXPECT_THAT(problem([](Maps& m) { m.defined.resize(2000, m.variable("m", 1)); }), HasSubstr("2000 maps, at most 1024"));
}

// A map of maps whose inner maps are such maps again, of its own kind.
TEST(BtfMaps, MapsInsideOfThemselves) {
  Maps maps;
  const uint32_t type = maps.number(13), definition = maps.next();
  maps.structure("", 24, {{"type", type}, {"key", maps.word}, {"values", definition + 1}}, 64);
  maps.array(definition + 2, 0);
  maps.pointer(definition);
  maps.defined.push_back(maps.variable("outer", definition));
  const auto read = maps.read();
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_NE(read->at(0).spec.inner, nullptr);
  EXPECT_EQ(read->at(0).spec.inner->inner, nullptr);
}

// Whatever is damaged: an error, or layouts that stay inside of their values.
TEST(Btf, DamagedBytes) {
  Maps maps;
  const uint32_t flow = maps.structure("flow", 24, {{"kind", 1}, {"list", maps.array(1, 4)}, {"last", maps.enumeration("e", 3)}}, 32);
  const uint32_t nested = maps.structure("nested", 48, {{"a", flow}, {"b", flow}}, 24 * 8);
  maps.map("m", {{"type", maps.number(1)}, {"max_entries", maps.number(16)}, {"key", maps.word}, {"value", maps.pointer(nested)}});
  maps.section(".maps", maps.defined);
  const auto whole = maps.bytes();
  std::mt19937 random(7);
  for (int round = 0; round < 4000; ++round) {
    auto bytes = whole;
    for (uint32_t n = 1 + random() % 3; n > 0; --n) bytes[sizeof(btf_header) + random() % (bytes.size() - sizeof(btf_header))] = static_cast<std::byte>(random());
    auto parsed = BtfTypes::parse(bytes);
    if (!parsed) continue;
    const auto read = parsed->maps();
    if (!read || read->empty() || !read->front().spec.value) continue;
    const MapSpec& spec = read->front().spec;
    const SchemaDiff diff = diff_values({.where = "maps.m", .old_value = {spec.value, spec.value_size}, .new_value = {spec.value, spec.value_size}});
    for (const SyncField& op : diff.ops) ASSERT_LE(op.offset0 + uint32_t{op.size0}, spec.value_size);
  }
}

}  // namespace
}  // namespace mapshift::update
