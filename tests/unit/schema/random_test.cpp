// SPDX-License-Identifier: Apache-2.0
// What holds for every layout: random ones from fixed seeds, some as no compiler writes them.
#include <gtest/gtest.h>

#include <random>

#include "diff_testing.h"
#include "update/schema_diff_layout.h"

namespace mapshift::update {
namespace {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint32_t below(uint32_t end) { return static_cast<uint32_t>(engine_() % end); }
  template <class T>
  T one_of(std::initializer_list<T> all) { return *(all.begin() + below(static_cast<uint32_t>(all.size()))); }

 private:
  std::mt19937_64 engine_;
};

using Key = std::vector<uint8_t>;

// What an engine makes of a key: each piece, extended by its sign.
Key converted(const KeyDiff& d, const Key& key, uint32_t size, bool back) {
  Key out(size);
  for (const SyncField& f : d.fields) {
    const uint32_t from = back ? f.offset1 : f.offset0, to = back ? f.offset0 : f.offset1;
    const uint32_t from_size = back ? f.size1 : f.size0, to_size = back ? f.size0 : f.size1;
    const bool negative = f.signed0 && (key.at(from + from_size - 1) & 0x80) != 0;
    for (uint32_t i = 0; i < to_size; ++i) out.at(to + i) = i < from_size ? key.at(from + i) : negative ? 0xff : 0;
  }
  return out;
}

void check_key(uint64_t seed) {
  Random random(seed);
  std::vector<FieldOf> before, after;
  for (uint32_t i = 1 + random.below(5); i > 0; --i) {
    const std::string name = "f" + std::to_string(i);
    const bool is_signed = random.below(2) == 1;
    const uint32_t size = 1U << random.below(4), wider = std::max(size, 1U << random.below(4)), count = 1 + random.below(2);
    before.push_back({name, array(integer(size, is_signed), count)});
    after.insert(after.begin() + random.below(static_cast<uint32_t>(after.size()) + 1), {name, array(integer(wider, is_signed), count)});
  }
  const TypeRef a = structure("k", before), b = structure("k", after);
  if (std::max(a->size, b->size) > kMaxSyncKeySize) return;
  const KeyDiff d = diff_keys({a, a->size}, {b, b->size});
  if (d.same) return;
  ASSERT_TRUE(d.refusals.empty()) << messages(d.refusals);
  ASSERT_EQ(d.may_meet, "");
  Key key(a->size);
  for (uint8_t& byte : key) byte = static_cast<uint8_t>(random.below(256));
  const Key there = converted(d, key, b->size, false), back = converted(d, there, a->size, true);
  ASSERT_EQ(converted(d, back, b->size, false), there);
  for (const Field& field : read_layout(a, a->size, "").fields)
    for (uint64_t byte = field.offset; byte < field.offset + extent(field); ++byte) ASSERT_EQ(back.at(byte), key.at(byte)) << field.path;
}

TEST(Random, AcceptedKeyConversionsAreOneToOne) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    ASSERT_NO_FATAL_FAILURE(check_key(seed));
  }
}

TypeRef hostile_type(Random& random, int depth) {
  Type type;
  type.kind = random.one_of({TypeKind::kVoid, TypeKind::kInt, TypeKind::kFloat, TypeKind::kEnum, TypeKind::kPointer, TypeKind::kArray,
                             TypeKind::kStruct, TypeKind::kStruct, TypeKind::kStruct, TypeKind::kUnion, TypeKind::kOpaque});
  type.name = random.one_of({"", "a", "bpf_spin_lock", "bpf_timer"});
  type.size = random.one_of({0U, 1U, 3U, 4U, 8U, 16U, 4096U, UINT32_MAX});
  type.is_signed = random.below(2) == 1;
  type.count = random.one_of({0U, 1U, 2U, 1000U, UINT32_MAX});
  if (depth > 0 && random.below(8) != 0) type.element = hostile_type(random, depth - 1);
  for (uint32_t i = depth > 0 ? random.below(5) : 0; i > 0; --i) {
    Member member;
    member.name = random.one_of({"", "a", "b", "c|d"});
    member.bit_offset = random.one_of({0U, 1U, 8U, 32U, 64U, 128U, UINT32_MAX});
    member.bit_size = random.one_of({0U, 0U, 0U, 3U, 64U, UINT32_MAX});
    if (random.below(8) != 0) member.type = hostile_type(random, depth - 1);
    if (random.below(4) == 0) member.tags = {random.one_of({"mapshift:union=a", "mapshift:when=0", "mapshift:when=x", "mapshift:from=b", "mapshift:merge=sum"})};
    type.members.push_back(std::move(member));
  }
  return make(std::move(type));
}

void expect_inside(const std::vector<SyncField>& fields, uint32_t size0, uint32_t size1) {
  for (const SyncField& f : fields) {
    EXPECT_LE(f.offset0 + uint32_t{f.size0}, size0);
    EXPECT_LE(f.offset1 + uint32_t{f.size1}, size1);
  }
}

TEST(Random, WhateverTypesSayThereIsAnAnswerThatStaysInsideOfTheValue) {
  for (uint64_t seed = 0; seed < 4000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    const TypeRef a = hostile_type(random, 3), b = random.below(3) == 0 ? a : hostile_type(random, 3);
    const uint32_t size0 = random.one_of({1U, 8U, 64U, 4096U, 1U << 21}), size1 = random.one_of({1U, 8U, 64U, 4096U, 1U << 21});
    const SchemaDiff d = diff_values({.where = "maps.m", .old_value = {a, size0}, .new_value = {b, size1}});
    const KeyDiff k = diff_keys({a, size0}, {b, size1});
    EXPECT_LE(field_names({a, size0}).size(), 20000U);
    if (k.refusals.empty()) expect_inside(k.fields, size0, size1);
    if (!d.refusals.empty()) continue;
    expect_inside(d.ops, size0, size1);
    for (const SyncField& f : d.ops) EXPECT_TRUE(d.lock0 < 0 || f.offset0 + f.size0 <= d.lock0 || f.offset0 >= d.lock0 + 4);
  }
}

}  // namespace
}  // namespace mapshift::update
