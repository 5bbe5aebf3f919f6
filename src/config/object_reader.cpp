// SPDX-License-Identifier: Apache-2.0
#include "config/object_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace mapshift::config {
namespace {

using Kind = JsonValue::Kind;

template <class T>
bool reads_as(const std::string& text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

bool expect_kind(Report& report, const JsonValue& value, const std::string& where, Kind kind) {
  if (value.kind == kind) return true;
  report.add("wrong-type", where, value.line,
             fmt::format("\"{}\" must be {}, not {}", where, to_string(kind), to_string(value.kind)));
  return false;
}

void resolve_scalar(JsonValue& value) {
  if (value.kind != Kind::kString || !value.substituted) return;
  double real = 0;
  if (value.text == "true" || value.text == "false") {
    value.boolean = value.text == "true";
    value.kind = Kind::kBool;
  } else if (reads_as(value.text, value.unsigned_number)) {
    value.kind = Kind::kUnsigned;
  } else if (reads_as(value.text, value.signed_number)) {
    value.kind = Kind::kSigned;
  } else if (reads_as(value.text, real) && std::isfinite(real)) {
    value.real = real;
    value.kind = Kind::kFloat;
  }
}

std::string ObjectReader::where(std::string_view name) const {
  if (path_.empty()) return std::string(name);
  return path_ + "." + std::string(name);
}

void ObjectReader::add(const JsonValue* value, std::string_view name, std::string code, const std::string& message) {
  report_.add(std::move(code), where(name), value->line, fmt::format("\"{}\": {}", where(name), message));
}

void ObjectReader::complain(std::string_view name, std::string code, const std::string& message) {
  const JsonValue* value = object_.find(name);
  add(value == nullptr ? &object_ : value, name, std::move(code), message);
}

JsonValue* ObjectReader::any(std::string_view name) {
  if (std::ranges::find(known_, name) == known_.end()) known_.emplace_back(name);
  return object_.find(name);
}

JsonValue* ObjectReader::typed(std::string_view name, Kind kind) {
  JsonValue* value = any(name);
  if (value == nullptr || !expect_kind(report_, *value, where(name), kind)) return nullptr;
  return value;
}

void ObjectReader::text(std::string_view name, std::string& out, TextRule valid, std::string_view rule) {
  const JsonValue* value = typed(name, Kind::kString);
  if (value == nullptr) return;
  if (valid == nullptr ? value->text.empty() : !valid(value->text)) {
    add(value, name, "bad-value", fmt::format("\"{}\" is not {}", value->text, rule));
    return;
  }
  out = value->text;
}

void ObjectReader::boolean(std::string_view name, bool& out) {
  if (JsonValue* value = any(name); value != nullptr) resolve_scalar(*value);
  if (const JsonValue* value = typed(name, Kind::kBool); value != nullptr) out = value->boolean;
}

void ObjectReader::integer(std::string_view name, int64_t& out, int64_t min, int64_t max) {
  JsonValue* value = any(name);
  if (value == nullptr) return;
  resolve_scalar(*value);
  if (value->kind != Kind::kSigned && !expect_kind(report_, *value, where(name), Kind::kUnsigned)) return;
  const bool fits =
      value->kind == Kind::kSigned || value->unsigned_number <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  const int64_t number = value->kind == Kind::kSigned ? value->signed_number : static_cast<int64_t>(value->unsigned_number);
  if (!fits || number < min || number > max) {
    add(value, name, "out-of-range", fmt::format("must be from {} to {}", min, max));
    return;
  }
  out = number;
}

std::optional<double> ObjectReader::as_number(std::string_view name) {
  JsonValue* value = any(name);
  if (value == nullptr) return std::nullopt;
  resolve_scalar(*value);
  switch (value->kind) {
    case Kind::kSigned: return static_cast<double>(value->signed_number);
    case Kind::kUnsigned: return static_cast<double>(value->unsigned_number);
    case Kind::kFloat: return value->real;
    case Kind::kNull:
    case Kind::kBool:
    case Kind::kString:
    case Kind::kArray:
    case Kind::kObject: break;
  }
  (void)expect_kind(report_, *value, where(name), Kind::kFloat);
  return std::nullopt;
}

void ObjectReader::number(std::string_view name, double& out, double min, double max) {
  const std::optional<double> number = as_number(name);
  if (!number) return;
  if (*number < min || *number > max) {
    complain(name, "out-of-range", fmt::format("must be from {:g} to {:g}", min, max));
    return;
  }
  out = *number;
}

void ObjectReader::number(std::string_view name, std::optional<double>& out) {
  if (const std::optional<double> number = as_number(name)) out = number;
}

void ObjectReader::duration(std::string_view name, Nanos& out, Nanos min, Nanos max) {
  const JsonValue* value = typed(name, Kind::kString);
  if (value == nullptr) return;
  const Result<Nanos> duration = parse_duration(value->text);
  if (!duration) {
    add(value, name, "bad-duration", duration.error().message);
  } else if (*duration < min || *duration > max) {
    add(value, name, "out-of-range", fmt::format("must be from {} to {}", format_duration(min), format_duration(max)));
  } else {
    out = *duration;
  }
}

std::optional<ObjectReader> ObjectReader::object(std::string_view name) {
  JsonValue* value = typed(name, Kind::kObject);
  if (value == nullptr) return std::nullopt;
  return ObjectReader(report_, *value, where(name));
}

void ObjectReader::members(std::string_view name, const EachMember& each) {
  JsonValue* value = typed(name, Kind::kObject);
  if (value == nullptr) return;
  for (auto& [key, member] : value->members) each(key, member, where(name) + "." + key);
}

void ObjectReader::items(std::string_view name, const EachItem& each) {
  JsonValue* value = typed(name, Kind::kArray);
  if (value == nullptr) return;
  for (size_t i = 0; i < value->items.size(); ++i) each(value->items[i], fmt::format("{}[{}]", where(name), i));
}

void ObjectReader::require(std::string_view name) {
  if (has(name)) return;
  report_.add("missing-member", where(name), object_.line, fmt::format("\"{}\" is missing", where(name)));
}

void ObjectReader::finish() {
  for (const auto& [key, value] : object_.members) {
    if (std::ranges::find(known_, key) != known_.end()) continue;
    report_.add(
        "unknown-member", where(key), value.line,
        fmt::format("unknown member \"{}\"{}{}", key, path_.empty() ? "" : " in \"" + path_ + "\"", suggestion(key, known_)));
  }
}

}  // namespace mapshift::config
