// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "config/json_value.h"
#include "config/report.h"

namespace mapshift::config {

// Reads the members of one object by name and type; what is wrong goes to the report, and the output keeps its default.
// Members that nobody asked for are unknown: call finish() at the end. Integers and booleans may also come from a string
// that was one substituted $NAME as a whole. Refers to the report and the value; both must outlive it.
class ObjectReader {
 public:
  ObjectReader(Report& report, JsonValue& object, std::string path) : report_(report), object_(object), path_(std::move(path)) {}

  using TextRule = bool (*)(std::string_view);
  using EachMember = std::function<void(const std::string& key, JsonValue& value, const std::string& where)>;
  using EachItem = std::function<void(JsonValue& value, const std::string& where)>;

  // `rule` says what the text must be, as in "must be <rule>".
  void text(std::string_view name, std::string& out, TextRule valid = nullptr,
            std::string_view rule = "a text that is not empty");
  void boolean(std::string_view name, bool& out);
  void integer(std::string_view name, int64_t& out, int64_t min, int64_t max);
  template <class T>
  void integer_as(std::string_view name, T& out, int64_t min, int64_t max) {
    int64_t wide = static_cast<int64_t>(out);
    integer(name, wide, min, max);
    out = static_cast<T>(wide);
  }
  void number(std::string_view name, double& out, double min, double max);
  void number(std::string_view name, std::optional<double>& out);
  void duration(std::string_view name, Nanos& out, Nanos min, Nanos max);
  template <class E>
  void choice(std::string_view name, E& out, std::span<const std::pair<std::string_view, E>> choices) {
    const JsonValue* value = typed(name, JsonValue::Kind::kString);
    if (value == nullptr) return;
    std::vector<std::string> known;
    for (const auto& [candidate, meaning] : choices) {
      if (candidate == value->text) {
        out = meaning;
        return;
      }
      known.emplace_back(candidate);
    }
    add(value, name, "bad-value", "\"" + value->text + "\" is not one of its values" + suggestion(value->text, known));
  }
  [[nodiscard]] std::optional<ObjectReader> object(std::string_view name);
  // Calls for each member of the object `name`, or item of the array; `where` is the path of each.
  void members(std::string_view name, const EachMember& each);
  void items(std::string_view name, const EachItem& each);

  [[nodiscard]] bool has(std::string_view name) const { return object_.find(name) != nullptr; }
  // Marks `name` as known and gives its value of whatever type; null when it is absent.
  [[nodiscard]] JsonValue* any(std::string_view name);
  void require(std::string_view name);
  void complain(std::string_view name, std::string code, const std::string& message);
  [[nodiscard]] std::string where(std::string_view name) const;
  [[nodiscard]] Report& report() { return report_; }
  void finish();

 private:
  [[nodiscard]] JsonValue* typed(std::string_view name, JsonValue::Kind kind);
  [[nodiscard]] std::optional<double> as_number(std::string_view name);
  void add(const JsonValue* value, std::string_view name, std::string code, const std::string& message);

  Report& report_;
  JsonValue& object_;
  std::string path_;
  std::vector<std::string> known_;
};

// Is `value` of that kind? If not, says so.
[[nodiscard]] bool expect_kind(Report& report, const JsonValue& value, const std::string& where, JsonValue::Kind kind);
// A substituted string that reads as an integer, a number or a boolean becomes one.
void resolve_scalar(JsonValue& value);

}  // namespace mapshift::config
