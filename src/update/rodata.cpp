// SPDX-License-Identifier: Apache-2.0
#include "update/rodata.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "kernel/type.h"
#include "update/names.h"

namespace mapshift::update {
namespace {

struct Place {
  const Type* type = nullptr;  // null: no BTF
  size_t bit = 0;              // from the variable's beginning
  uint32_t bits = 0;
  std::string where = {};
};

struct Whole {  // a number as it was written
  uint64_t bits = 0;
  bool negative = false;
};

bool fits(const Whole& number, uint32_t bits, bool is_signed) {
  const uint64_t top = bits >= 64 ? ~uint64_t{0} >> (is_signed ? 1 : 0) : (uint64_t{1} << (bits - (is_signed ? 1 : 0))) - 1;
  return number.negative ? is_signed && ~number.bits <= top : number.bits <= top;
}

const Member* member_named(const Type& type, const std::string& name, size_t& bit) {
  for (const Member& member : type.members) {
    if (member.name == name) {
      bit += member.bit_offset;
      return &member;
    }
    if (!member.name.empty() || !member.type) continue;
    size_t within = bit + member.bit_offset;
    if (const Member* found = member_named(*member.type, name, within)) {
      bit = within;
      return found;
    }
  }
  return nullptr;
}

void list_members(const Type& type, std::vector<std::string>& out) {
  for (const Member& member : type.members) {
    if (!member.name.empty()) out.push_back(member.name);
    else if (member.type) list_members(*member.type, out);
  }
}

class Encoder {
 public:
  explicit Encoder(size_t size) : bytes_(size) {}

  void put(const Place& place, const RodataValue& value) {
    const TypeKind kind = place.type == nullptr ? TypeKind::kOpaque : place.type->kind;
    if (const auto* text = std::get_if<std::string>(&value.is)) return put_text(place, kind, *text);
    if (const auto* elements = std::get_if<RodataValue::Elements>(&value.is)) return put_elements(place, kind, *elements);
    if (const auto* members = std::get_if<RodataValue::Members>(&value.is)) return put_members(place, kind, *members);
    if (kind == TypeKind::kFloat) return put_float(place, value);
    put_whole(place, kind, value);
  }

  std::vector<Problem> problems;
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  void refuse(const Place& place, const std::string& why = "the value does not fit the variable") {
    const std::string name = place.type == nullptr || place.type->name.empty() ? "" : place.type->name + ", ";
    const std::string size = place.bits % 8 == 0 ? fmt::format("{} bytes", place.bits / 8) : fmt::format("{} bits", place.bits);
    problems.push_back({"bad-value", place.where, fmt::format("{} ({}{})", why, name, size)});
  }

  // Little endian: the low bits come first.
  void set_bits(size_t bit, uint32_t bits, uint64_t value) {
    for (uint32_t i = 0; i < bits && bit + i < bytes_.size() * 8; ++i) {
      const auto mask = std::byte(1u << ((bit + i) % 8));
      if ((value >> i & 1) != 0) bytes_[(bit + i) / 8] |= mask;
    }
  }

  void put_number(const Place& place, const Whole& number) {
    const bool is_signed = place.type != nullptr && place.type->is_signed;
    if (place.bits == 0 || place.bits > 64 || !fits(number, place.bits, is_signed)) return refuse(place);
    set_bits(place.bit, place.bits, number.bits);
  }

  void put_whole(const Place& place, TypeKind kind, const RodataValue& value) {
    if (kind != TypeKind::kInt && kind != TypeKind::kEnum && kind != TypeKind::kOpaque) return refuse(place);
    if (const auto* flag = std::get_if<bool>(&value.is)) return put_number(place, {*flag ? 1u : 0u, false});
    if (const auto* number = std::get_if<int64_t>(&value.is)) return put_number(place, {static_cast<uint64_t>(*number), *number < 0});
    if (const auto* number = std::get_if<uint64_t>(&value.is)) return put_number(place, {*number, false});
    refuse(place);
  }

  void put_float(const Place& place, const RodataValue& value) {
    std::optional<double> number;
    if (const auto* real = std::get_if<double>(&value.is)) number = *real;
    if (const auto* whole = std::get_if<int64_t>(&value.is)) number = static_cast<double>(*whole);
    if (!number || place.bit % 8 != 0) return refuse(place);
    const auto narrow = static_cast<float>(*number);
    if (place.bits == sizeof narrow * 8) return copy(place, &narrow, sizeof narrow);
    if (place.bits == sizeof *number * 8) return copy(place, &*number, sizeof *number);
    refuse(place);
  }

  // A text in an array of characters, which keeps its final NUL; the name of an enumerator.
  void put_text(const Place& place, TypeKind kind, const std::string& text) {
    if (kind == TypeKind::kEnum) return put_enumerator(place, text);
    const bool characters = kind == TypeKind::kArray && place.type->element && place.type->element->size == 1;
    if (!characters) return refuse(place);
    if (text.size() >= place.type->count) return refuse(place, "the text and its final NUL do not fit the variable");
    copy(place, text.data(), text.size());
  }

  void put_enumerator(const Place& place, const std::string& text) {
    const auto found = std::ranges::find(place.type->enumerators, text, &Enumerator::name);
    if (found != place.type->enumerators.end()) return set_bits(place.bit, place.bits, static_cast<uint64_t>(found->value));
    std::vector<std::string> known;
    for (const Enumerator& enumerator : place.type->enumerators) known.push_back(enumerator.name);
    problems.push_back(unknown_name("enumerator", text, "enum " + place.type->name, place.where, known));
  }

  void put_elements(const Place& place, TypeKind kind, const RodataValue::Elements& elements) {
    if (kind != TypeKind::kArray || !place.type->element) return refuse(place);
    if (elements.size() > place.type->count)
      return refuse(place, fmt::format("{} elements are too many for the variable, which has {}", elements.size(), place.type->count));
    const Type& element = *place.type->element;
    for (size_t i = 0; i < elements.size(); ++i)
      put({&element, place.bit + i * element.size * 8, element.size * 8, fmt::format("{}[{}]", place.where, i)}, elements[i]);
  }

  void put_members(const Place& place, TypeKind kind, const RodataValue::Members& members) {
    if (kind != TypeKind::kStruct && kind != TypeKind::kUnion) return refuse(place, "the variable has no members");
    if (kind == TypeKind::kUnion && members.size() > 1) return refuse(place, "a union has one of its members only");
    for (const auto& [name, value] : members) {
      size_t bit = place.bit;
      const Member* member = member_named(*place.type, name, bit);
      if (member == nullptr || !member->type) {
        std::vector<std::string> known;
        list_members(*place.type, known);
        problems.push_back(unknown_name("member", name, "struct " + place.type->name, place.where, known));
        continue;
      }
      put({member->type.get(), bit, member->bit_size != 0 ? member->bit_size : member->type->size * 8, place.where + "." + name}, value);
    }
  }

  // BTF may lie: nothing is written beyond the variable.
  void copy(const Place& place, const void* from, size_t size) {
    if (place.bit / 8 + size > bytes_.size()) return refuse(place);
    std::memcpy(bytes_.data() + place.bit / 8, from, size);
  }

  std::vector<std::byte> bytes_;
};

}  // namespace

Result<std::vector<std::byte>> encode_rodata(const Variable& variable, const RodataValue& value, const std::string& where) {
  Encoder encoder(variable.size);
  encoder.put({variable.type.get(), 0, variable.size * 8, where}, value);
  if (!encoder.problems.empty()) return fail(Error{ErrorCode::kInvalid, 0, "the value does not fit", {}, std::move(encoder.problems)});
  return encoder.take();
}

}  // namespace mapshift::update
