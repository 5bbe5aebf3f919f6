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

std::optional<RodataValue> read_array(Report& report, JsonValue& array, const std::string& where) {
  std::vector<int64_t> numbers;
  if (array.items.size() > kMaxArray) {
    report.add("too-many", where, array.line, "\"" + where + "\": more than " + std::to_string(kMaxArray) + " elements");
    return std::nullopt;
  }
  for (JsonValue& item : array.items) {
    resolve_scalar(item);
    const std::optional<int64_t> number = as_int64(item);
    if (!number) {
      report.add("wrong-type", where, item.line, "\"" + where + "\": an array holds integers of 64 signed bits");
      return std::nullopt;
    }
    numbers.push_back(*number);
  }
  return numbers;
}

std::optional<RodataValue> read_value(Report& report, JsonValue& value, const std::string& where) {
  resolve_scalar(value);
  switch (value.kind) {
    case Kind::kBool: return value.boolean;
    case Kind::kSigned: return value.signed_number;
    case Kind::kUnsigned:
      if (const auto fits = as_int64(value)) return *fits;
      return value.unsigned_number;
    case Kind::kFloat: return value.real;
    case Kind::kString: return value.text;
    case Kind::kArray: return read_array(report, value, where);
    case Kind::kNull:
    case Kind::kObject: break;
  }
  report.add("wrong-type", where, value.line,
             "\"" + where + "\" must be a boolean, a number, a string or an array of integers, not " +
                 std::string(to_string(value.kind)));
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
