// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/value.h"

#include <algorithm>
#include <cstring>

namespace mapshift::observe::changes {
namespace {

using Bytes = std::span<const std::byte>;

uint64_t load(Bytes bytes) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data(), std::min<size_t>(bytes.size(), 8));
  return value;
}

int64_t sign_extend(uint64_t value, size_t bits) {
  const size_t shift = 64 - std::min<size_t>(bits, 64);
  return static_cast<int64_t>(value << shift) >> shift;
}

std::string hex(Bytes bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const std::byte one : bytes) {
    out += kDigits[std::to_integer<unsigned>(one) >> 4];
    out += kDigits[std::to_integer<unsigned>(one) & 15];
  }
  return out;
}

// Length of the well-formed UTF-8 sequence that `text` begins with, or 0 (RFC 3629: no surrogates, nothing overlong).
size_t sequence_length(std::string_view text) {
  const auto at = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto tail = [&](size_t i) { return (at(i) & 0xc0) == 0x80; };
  const unsigned first = at(0), second = at(1);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f)) return 0;
    return tail(1) && tail(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return 0;
    return tail(1) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

std::string text(Bytes bytes) {
  const auto* begin = reinterpret_cast<const char*>(bytes.data());
  std::string_view rest(begin, static_cast<size_t>(std::find(begin, begin + bytes.size(), '\0') - begin));
  std::string out;
  while (!rest.empty()) {
    const size_t length = sequence_length(rest);
    out += length == 0 ? std::string_view("\xef\xbf\xbd") : rest.substr(0, length);
    rest.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

class Decoder {
 public:
  Result<Value> decode(const Type& type, Bytes bytes) {
    if (++nodes_ > kMaxValueNodes) return fail(ErrorCode::kTooLarge, "a record has more than " + std::to_string(kMaxValueNodes) + " values");
    switch (type.kind) {
      case TypeKind::kInt: return integer(type, load(bytes), type.size * size_t{8}, bytes);
      case TypeKind::kFloat: return floating(bytes);
      case TypeKind::kEnum: return enumerator(type, load(bytes), type.size * size_t{8});
      case TypeKind::kPointer: return Value{"0x" + pointer(load(bytes))};
      case TypeKind::kArray: return array(type, bytes);
      case TypeKind::kStruct: return structure(type, bytes);
      case TypeKind::kUnion:
      case TypeKind::kVoid:
      case TypeKind::kOpaque: return Value{hex(bytes)};
    }
    return Value{hex(bytes)};
  }

 private:
  static Value integer(const Type& type, uint64_t value, size_t bits, Bytes bytes) {
    if (bits > 64) return Value{hex(bytes)};
    if (type.is_bool) return Value{value != 0};
    if (type.is_signed) return Value{sign_extend(value, bits)};
    return Value{value};
  }

  static Value floating(Bytes bytes) {
    if (bytes.size() == sizeof(float)) {
      float value = 0;
      std::memcpy(&value, bytes.data(), sizeof value);
      return Value{static_cast<double>(value)};
    }
    if (bytes.size() != sizeof(double)) return Value{hex(bytes)};
    double value = 0;
    std::memcpy(&value, bytes.data(), sizeof value);
    return Value{value};
  }

  static Value enumerator(const Type& type, uint64_t raw, size_t bits) {
    const int64_t value = type.is_signed ? sign_extend(raw, bits) : static_cast<int64_t>(raw);
    for (const auto& one : type.enumerators) {
      if (one.value == value) return Value{one.name};
    }
    return type.is_signed ? Value{value} : Value{raw};
  }

  static std::string pointer(uint64_t value) {
    std::string digits;
    for (int shift = 60; shift >= 0; shift -= 4) {
      const auto digit = static_cast<unsigned>(value >> shift & 15);
      if (digit != 0 || !digits.empty() || shift == 0) digits += "0123456789abcdef"[digit];
    }
    return digits;
  }

  Result<Value> array(const Type& type, Bytes bytes) {
    const Type& element = *type.element;
    if (element.kind == TypeKind::kInt && element.size == 1 && !element.is_bool) {
      const bool is_text = element.name == "char" || element.is_signed;
      return Value{is_text ? text(bytes) : hex(bytes)};
    }
    if (element.size == 0) return Value{Value::List{}};
    Value::List list;
    for (size_t i = 0; i < type.count && (i + 1) * element.size <= bytes.size(); ++i) {
      MS_TRY(Value one, decode(element, bytes.subspan(i * element.size, element.size)));
      list.push_back(std::move(one));
    }
    return Value{std::move(list)};
  }

  Result<Value> structure(const Type& type, Bytes bytes) {
    Value::Object object;
    for (const Member& member : type.members) {
      MS_TRY(Value value, member.bit_size != 0 ? bit_field(member, bytes) : whole(member, bytes));
      auto* inner = std::get_if<Value::Object>(&value.is);
      if (member.name.empty() && inner != nullptr) {  // an anonymous struct's members belong to the outer one
        std::ranges::move(*inner, std::back_inserter(object));
      } else {
        object.emplace_back(member.name, std::move(value));
      }
    }
    return Value{std::move(object)};
  }

  Result<Value> whole(const Member& member, Bytes bytes) {
    const size_t begin = member.bit_offset / 8;
    if (begin + member.type->size > bytes.size()) return fail(ErrorCode::kInvalid, "member \"" + member.name + "\" lies outside of its struct");
    return decode(*member.type, bytes.subspan(begin, member.type->size));
  }

  static Result<Value> bit_field(const Member& member, Bytes bytes) {
    if (member.bit_size > 64 || uint64_t{member.bit_offset} + member.bit_size > bytes.size() * uint64_t{8}) {
      return fail(ErrorCode::kInvalid, "member \"" + member.name + "\" lies outside of its struct");
    }
    uint64_t value = 0;
    for (uint32_t bit = 0; bit < member.bit_size; ++bit) {
      const uint32_t at = member.bit_offset + bit;
      value |= uint64_t{std::to_integer<unsigned>(bytes[at / 8]) >> (at % 8) & 1} << bit;
    }
    if (member.type->kind == TypeKind::kEnum) return enumerator(*member.type, value, member.bit_size);
    return integer(*member.type, value, member.bit_size, {});
  }

  size_t nodes_ = 0;
};

}  // namespace

Result<Value> decode(const Type& type, std::span<const std::byte> bytes) {
  if (bytes.size() > kMaxRecordBytes) return fail(ErrorCode::kTooLarge, "a record of " + std::to_string(bytes.size()) + " bytes");
  if (bytes.size() != type.size) {
    return fail(ErrorCode::kInvalid, "a record of " + std::to_string(bytes.size()) + " bytes; \"" + type.name + "\" has " + std::to_string(type.size));
  }
  return Decoder().decode(type, bytes);
}

}  // namespace mapshift::observe::changes
