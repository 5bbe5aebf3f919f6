// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace mapshift::config {

// Reads the members of one object of a document that another release may have written: what is absent or null keeps its
// default, and the first wrong type is remembered with its path. Refers to the object and to `error`.
class Members {
 public:
  using Json = nlohmann::ordered_json;
  Members(const Json& object, std::string path, std::string& error) : object_(object), path_(std::move(path)), error_(error) {
    if (!object_.is_object()) complain("", "must be an object");
  }
  void get(const char* name, std::string& out) {
    if (const Json* value = find(name))
      value->is_string() ? static_cast<void>(out = value->get<std::string>()) : complain(name, "must be a string");
  }
  void get(const char* name, bool& out) {
    if (const Json* value = find(name))
      value->is_boolean() ? static_cast<void>(out = value->get<bool>()) : complain(name, "must be a boolean");
  }
  void get(const char* name, double& out) {
    if (const Json* value = find(name))
      value->is_number() ? static_cast<void>(out = value->get<double>()) : complain(name, "must be a number");
  }
  void get(const char* name, std::optional<double>& out) {
    if (double value = 0; find(name) != nullptr) {
      get(name, value);
      out = value;
    }
  }
  template <class T>
    requires std::is_integral_v<T>
  void get(const char* name, T& out) {
    const Json* value = find(name);
    if (value == nullptr) return;
    const bool fits = value->is_number_integer() && (value->is_number_unsigned() || value->get<int64_t>() >= 0) &&
                      value->get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<T>::max());
    fits ? static_cast<void>(out = value->get<T>()) : complain(name, "must be an integer that is not negative");
  }
  template <class T>
    requires std::is_integral_v<T>
  void get(const char* name, std::optional<T>& out) {
    if (T value = 0; find(name) != nullptr) {
      get(name, value);
      out = value;
    }
  }
  void get(const char* name, std::map<std::string, double>& out) {
    const Json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_object()) return complain(name, "must be an object");
    for (const auto& [key, item] : value->items()) {
      if (item.is_number()) out[key] = item.get<double>();
      else if (!item.is_null()) complain(name, "must hold numbers");
    }
  }
  void get(const char* name, std::vector<std::string>& out) {
    each(name, [&](const Json& item) {
      item.is_string() ? static_cast<void>(out.push_back(item.get<std::string>())) : complain(name, "must hold texts");
    });
  }
  template <class T>
    requires std::is_arithmetic_v<T>
  void get(const char* name, std::vector<T>& out) {
    each(name, [&](const Json& item) {
      const bool fits = std::is_floating_point_v<T> ? item.is_number() : item.is_number_unsigned();
      fits ? static_cast<void>(out.push_back(item.get<T>())) : complain(name, "must hold numbers");
    });
  }
  // Each member of the object `name`, whatever its name is.
  template <class T, class Read>
  void entries(const char* name, std::map<std::string, T>& out, const Read& read) {
    const Json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_object()) return complain(name, "must be an object");
    for (const auto& [key, item] : value->items()) {
      Members members(item, path_ + name + "." + key + ".", error_);
      read(members, out[key]);
    }
  }
  void get(const char* name, std::map<std::string, uint64_t>& out) {
    const Json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_object()) return complain(name, "must be an object");
    for (const auto& [key, item] : value->items())
      item.is_number_unsigned() ? static_cast<void>(out[key] = item.get<uint64_t>()) : complain(name, "must hold integers");
  }
  template <class Read>
  void object(const char* name, const Read& read) {
    const Json* value = find(name);
    if (value == nullptr) return;
    Members members(*value, path_ + name + ".", error_);
    read(members);
  }
  template <class T, class Read>
  void array(const char* name, std::vector<T>& out, const Read& read) {
    const Json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_array()) return complain(name, "must be an array");
    for (const Json& item : *value) {
      Members members(item, path_ + name + "[" + std::to_string(out.size()) + "].", error_);
      read(members, out.emplace_back());
    }
  }
  void complain(const std::string& name, const char* what) {
    if (error_.empty()) error_ = "\"" + path_ + name + "\" " + what;
  }

 private:
  template <class Each>
  void each(const char* name, const Each& read) {
    const Json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_array()) return complain(name, "must be an array");
    for (const Json& item : *value) read(item);
  }
  // A member that is null counts as absent.
  [[nodiscard]] const Json* find(const char* name) const {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  const Json& object_;
  std::string path_;
  std::string& error_;
};

}  // namespace mapshift::config
