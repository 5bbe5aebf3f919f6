// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>

#include "config/json_value.h"
#include "config/report.h"

namespace mapshift::config {

using Values = std::map<std::string, std::string>;

// Fills $NAME and ${NAME} in every string value below one that it is given. "$$" stands for one dollar; a dollar before
// anything else is itself. Reports names that nothing resolves. A value that was filled in is not searched again.
class Substitution {
 public:
  Substitution(Values values, Report& report) : values_(std::move(values)), report_(report) {}
  void fill(JsonValue& value, const std::string& where);
  // These on top of the values, this once; all that is filled in counts together.
  void fill_with(const Values& own, JsonValue& value, const std::string& where);
  void give(const std::string& name, const std::string& value) { values_[name] = value; }
  // From now on who names it is told that each instance has another value.
  void forbid(const std::string& name) { forbidden_.insert(name); }
  [[nodiscard]] const Values& values() const { return values_; }
  [[nodiscard]] const std::set<std::string>& used() const { return used_; }

 private:
  void fill_text(JsonValue& value, const std::string& where);
  void limit(size_t filled, const JsonValue& value, const std::string& where);
  [[nodiscard]] std::string resolve(const std::string& name, const JsonValue& value, const std::string& where);

  Values values_;
  Report& report_;
  std::set<std::string> used_ = {}, forbidden_ = {};
  size_t filled_ = 0;
  bool too_large_ = false;
};

// The document's "params", which is removed.
[[nodiscard]] Values take_params(JsonValue& document, Report& report);
// One parameter's value as text; nothing, and a complaint, when it is no scalar or its name cannot be written after a dollar.
[[nodiscard]] std::optional<std::string> read_param(const std::string& name, const JsonValue& value, const std::string& where, Report& report);
// Reports names of `set` that are neither declared nor used.
void check_set(const Values& set, const Values& declared, const std::set<std::string>& used, Report& report);
// Whether a string below `value` names one of these.
[[nodiscard]] bool refers_to(const JsonValue& value, const std::set<std::string>& names);
// The opposite of filling in, for writing a document down: every dollar doubled, so that reading it fills in nothing.
void escape_dollars(JsonValue& value);

}  // namespace mapshift::config
