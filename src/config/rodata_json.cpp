// SPDX-License-Identifier: Apache-2.0
#include "config/rodata_json.h"

#include <optional>

namespace mapshift::config {
namespace {

using Kind = JsonValue::Kind;
using update::RodataValue;

constexpr size_t kMaxArray = 65'536;

std::optional<int64_t> as_int64(const JsonValue& value) {
  if (value.kind == Kind::kSigned) return value.signed_number;
  if (value.kind == Kind::kUnsigned && value.unsigned_number <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return static_cast<int64_t>(value.unsigned_number);
  }
  return std::nullopt;
}

std::optional<RodataValue> read_value(Report& report, JsonValue& value, const std::string& where);

std::optional<RodataValue> read_array(Report& report, JsonValue& array, const std::string& where) {
  RodataValue::Elements elements;
  if (array.items.size() > kMaxArray) {
    report.add("too-many", where, array.line, "\"" + where + "\": more than " + std::to_string(kMaxArray) + " elements");
    return std::nullopt;
  }
  for (size_t i = 0; i < array.items.size(); ++i) {
    auto element = read_value(report, array.items[i], where + "[" + std::to_string(i) + "]");
    if (!element) return std::nullopt;
    elements.push_back(std::move(*element));
  }
  return RodataValue{std::move(elements)};
}

std::optional<RodataValue> read_struct(Report& report, JsonValue& object, const std::string& where) {
  RodataValue::Members members;
  for (auto& [name, member] : object.members) {
    auto value = read_value(report, member, where + "." + name);
    if (!value) return std::nullopt;
    members.emplace(name, std::move(*value));
  }
  return RodataValue{std::move(members)};
}

std::optional<RodataValue> read_value(Report& report, JsonValue& value, const std::string& where) {
  resolve_scalar(value);
  switch (value.kind) {
    case Kind::kBool: return RodataValue{value.boolean};
    case Kind::kSigned: return RodataValue{value.signed_number};
    case Kind::kUnsigned:
      if (const auto fits = as_int64(value)) return RodataValue{*fits};
      return RodataValue{value.unsigned_number};
    case Kind::kFloat: return RodataValue{value.real};
    case Kind::kString: return RodataValue{value.text};
    case Kind::kArray: return read_array(report, value, where);
    case Kind::kObject: return read_struct(report, value, where);
    case Kind::kNull: break;
  }
  report.add("wrong-type", where, value.line, "\"" + where + "\" must be a boolean, a number, a string, an array of such values or an object with them, not null");
  return std::nullopt;
}

}  // namespace

void read_rodata(ObjectReader& reader, std::map<std::string, RodataValue>& out) {
  reader.members("rodata", [&](const std::string& name, JsonValue& value, const std::string& where) {
    if (!is_name(name)) reader.report().add("bad-name", where, value.line, "\"" + name + "\" is not " + std::string(kNameRule));
    if (std::optional<RodataValue> read = read_value(reader.report(), value, where)) out[name] = std::move(*read);
  });
}

}  // namespace mapshift::config
