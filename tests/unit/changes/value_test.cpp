// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/value.h"

#include <gtest/gtest.h>

#include <cstring>

#include "type_builder.h"

namespace mapshift::observe::changes {
namespace {

using namespace mapshift::types;

// As one line, to compare with.
std::string show(const Value& value) {
  struct Show {
    std::string operator()(std::monostate) const { return "null"; }
    std::string operator()(bool is) const { return is ? "true" : "false"; }
    std::string operator()(int64_t is) const { return std::to_string(is); }
    std::string operator()(uint64_t is) const { return std::to_string(is); }
    std::string operator()(double is) const { return std::to_string(is); }
    std::string operator()(const std::string& is) const { return '"' + is + '"'; }
    std::string operator()(const Value::List& is) const {
      std::string out = "[";
      for (const auto& one : is) out += (out.size() > 1 ? "," : "") + show(one);
      return out + "]";
    }
    std::string operator()(const Value::Object& is) const {
      std::string out = "{";
      for (const auto& [name, one] : is) out += (out.size() > 1 ? "," : "") + name + ":" + show(one);
      return out + "}";
    }
  };
  return std::visit(Show{}, value.is);
}

Result<Value> decoded(const Type& type, const std::vector<uint8_t>& bytes) { return decode(type, std::as_bytes(std::span(bytes))); }

std::string read(const TypeRef& type, const std::vector<uint8_t>& bytes) {
  const auto value = decoded(*type, bytes);
  return value ? show(*value) : value.error().message;
}

TypeRef character() {
  Type type = *integer(1, true);
  type.name = "char";
  return make(std::move(type));
}

std::vector<uint8_t> bytes(std::initializer_list<int> values) {
  std::vector<uint8_t> out;
  for (const int one : values) out.push_back(static_cast<uint8_t>(one));
  return out;
}

TEST(Value, Scalars) {
  EXPECT_EQ(read(u8(), bytes({200})), "200");
  EXPECT_EQ(read(s32(), bytes({0xfe, 0xff, 0xff, 0xff})), "-2");
  EXPECT_EQ(read(u64(), bytes({255, 255, 255, 255, 255, 255, 255, 255})), "18446744073709551615");
  EXPECT_EQ(read(boolean(), bytes({2})), "true");
  EXPECT_EQ(read(integer(16), bytes({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})), "\"0102030405060708090a0b0c0d0e0f10\"");
  EXPECT_EQ(read(scalar(TypeKind::kPointer, "p", 8), bytes({0x10, 0xff, 0, 0, 0, 0, 0, 0})), "\"0xff10\"");
  EXPECT_EQ(read(scalar(TypeKind::kPointer, "p", 8), bytes({0, 0, 0, 0, 0, 0, 0, 0})), "\"0x0\"");
  const TypeRef kind = enumeration("kind", {{"OPEN", 1}, {"SHUT", 2}});
  EXPECT_EQ(read(kind, bytes({2, 0, 0, 0})), "\"SHUT\"");
  EXPECT_EQ(read(kind, bytes({9, 0, 0, 0})), "9");
  const double half = 0.5;
  std::vector<uint8_t> raw(8);
  std::memcpy(raw.data(), &half, 8);
  EXPECT_EQ(read(scalar(TypeKind::kFloat, "double", 8), raw), "0.500000");
}

TEST(Value, TextAndBytes) {
  EXPECT_EQ(read(array(character(), 6), bytes({'a', 'b', 0, 'x', 'y', 'z'})), "\"ab\"");
  EXPECT_EQ(read(array(character(), 3), bytes({'a', 'b', 'c'})), "\"abc\"") << "without a NUL";
  EXPECT_EQ(read(array(character(), 4), bytes({0xc3, 0xa4, 0xff, 'z'})), "\"\xc3\xa4\xef\xbf\xbdz\"");
  EXPECT_EQ(read(array(character(), 3), bytes({0xed, 0xa0, 0x80})), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"") << "a surrogate";
  EXPECT_EQ(read(array(u8(), 3), bytes({0xde, 0xad, 1})), "\"dead01\"");
  EXPECT_EQ(read(array(u16(), 2), bytes({1, 0, 2, 0})), "[1,2]");
}

TEST(Value, StructsUnionsAndBitFields) {
  const TypeRef inner = structure("in", {{"a", u16()}, {"b", u16()}});
  const TypeRef outer = structure("event", {{"id", u32()}, {"", inner}, {"at", inner}, {"u", union_of("u", {{"x", u32()}, {"y", u8()}})}});
  EXPECT_EQ(read(outer, bytes({1, 0, 0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 7, 8, 9})), "{id:1,a:2,b:3,at:{a:4,b:5},u:\"06070809\"}");
  EXPECT_EQ(read(bit_structure("flags", 2, {{"low", 3}, {"mid", 7}, {"high", 6}}), bytes({0b10101101, 0b11000110})), "{low:5,mid:85,high:49}");
}

TEST(Value, RecordsOfAnotherLengthAreRefused) {
  const TypeRef event = structure("event", {{"id", u32()}});
  EXPECT_EQ(decoded(*event, bytes({1, 2, 3})).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(decoded(*event, bytes({1, 2, 3, 4, 5})).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(decoded(*array(u16(), 20000), std::vector<uint8_t>(40000)).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(decoded(*array(u64(), 10000), std::vector<uint8_t>(80000)).error().code, ErrorCode::kTooLarge);
}

TEST(Value, ATypeThatContradictsItselfReadsNothingOutside) {
  Type bad = *structure("bad", {{"x", u32()}});
  bad.members[0].bit_offset = 8 * 100;
  EXPECT_EQ(decoded(bad, bytes({1, 2, 3, 4})).error().code, ErrorCode::kInvalid);
  bad.members[0].bit_size = 65;
  EXPECT_EQ(decoded(bad, bytes({1, 2, 3, 4})).error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace mapshift::observe::changes
