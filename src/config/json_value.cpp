// SPDX-License-Identifier: Apache-2.0
#include "config/json_value.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

namespace mapshift::config {
namespace {

using Kind = JsonValue::Kind;

constexpr size_t kMaxMembers = 2048;   // of one object: looking for a duplicate compares with all
constexpr size_t kMaxValues = 65'536;  // a value takes far more memory than its two characters of text

// The parser hands over values without their place. It reads character by character, so an input that counts tells it.
class CountingCursor {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingCursor(const char* at, const char** reached) : at_(at), reached_(reached) {}
  reference operator*() const { return *at_; }
  CountingCursor& operator++() {
    *reached_ = ++at_;
    return *this;
  }
  CountingCursor operator++(int) {
    CountingCursor before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingCursor& other) const { return at_ == other.at_; }
  bool operator!=(const CountingCursor& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** reached_;
};

// Builds the tree. The member functions' names are the parser's.
class TreeBuilder {
 public:
  explicit TreeBuilder(std::string_view text) : reached_(text.data()), counted_(text.data()) {}
  [[nodiscard]] const char** reached() { return &reached_; }
  [[nodiscard]] JsonValue& root() { return root_; }
  [[nodiscard]] const std::optional<Problem>& problem() const { return problem_; }

  bool null() { return add({}); }
  bool boolean(bool value) { return add({.kind = Kind::kBool, .boolean = value}); }
  bool number_integer(int64_t value) { return add_number({.kind = Kind::kSigned, .signed_number = value}); }
  bool number_unsigned(uint64_t value) { return add_number({.kind = Kind::kUnsigned, .unsigned_number = value}); }
  bool number_float(double value, const std::string&) { return add_number({.kind = Kind::kFloat, .real = value}); }
  bool string(std::string& value) {
    if (value.find('\0') != std::string::npos) return refuse("nul-character", "a string holds a NUL character");
    return add({.kind = Kind::kString, .text = std::move(value)});
  }
  bool binary(nlohmann::json::binary_t&) { return false; }
  bool start_object(size_t) { return open(Kind::kObject); }
  bool start_array(size_t) { return open(Kind::kArray); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    if (name.find('\0') != std::string::npos) return refuse("nul-character", "a member's name holds a NUL character");
    if (open_.back()->members.size() == kMaxMembers) return refuse("too-large", "more than 2048 members in one object");
    if (open_.back()->find(name) != nullptr) return refuse("duplicate-member", "\"" + name + "\" stands twice in one object");
    key_ = std::move(name);
    return true;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& error) {
    std::string what = error.what();
    if (const size_t end = what.find("] "); what.starts_with('[') && end != std::string::npos) what.erase(0, end + 2);
    problem_ = Problem{"not-json", {}, std::move(what)};
    return false;
  }

 private:
  // A number ends where the next character begins, so the parser has read one too many; that may be the line's end.
  bool add_number(JsonValue value) {
    --reached_;
    const bool fine = add(std::move(value));
    ++reached_;
    return fine;
  }
  bool add(JsonValue value) {
    if (++values_ > kMaxValues) return refuse("too-large", "more than 65536 values in one document");
    value.line = line();
    place(std::move(value));
    return true;
  }
  JsonValue& place(JsonValue value) {
    if (open_.empty()) return root_ = std::move(value);
    JsonValue& parent = *open_.back();
    if (parent.kind == Kind::kArray) return parent.items.emplace_back(std::move(value));
    return parent.members.emplace_back(std::move(key_), std::move(value)).second;
  }
  bool open(Kind kind) {
    if (open_.size() == kMaxDepth) return refuse("too-deep", "nested deeper than " + std::to_string(kMaxDepth) + " levels");
    if (++values_ > kMaxValues) return refuse("too-large", "more than 65536 values in one document");
    JsonValue value{.kind = kind, .line = line()};
    open_.push_back(&place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }
  bool refuse(std::string code, const std::string& message) {
    problem_ = Problem{std::move(code), {}, "line " + std::to_string(line()) + ": " + message};
    return false;
  }
  int line() {
    if (reached_ > counted_) {
      line_ += static_cast<int>(std::count(counted_, reached_, '\n'));
      counted_ = reached_;
    }
    return line_;
  }

  const char* reached_;
  const char* counted_;
  int line_ = 1;
  size_t values_ = 0;
  JsonValue root_;
  std::vector<JsonValue*> open_;  // a parent does not grow while one of its children is open, so these stay valid
  std::string key_;
  std::optional<Problem> problem_;
};

nlohmann::ordered_json to_nlohmann(const JsonValue& value) {
  switch (value.kind) {
    case Kind::kNull: return nullptr;
    case Kind::kBool: return value.boolean;
    case Kind::kSigned: return value.signed_number;
    case Kind::kUnsigned: return value.unsigned_number;
    case Kind::kFloat: return value.real;
    case Kind::kString: return value.text;
    case Kind::kArray: {
      auto array = nlohmann::ordered_json::array();
      for (const JsonValue& item : value.items) array.push_back(to_nlohmann(item));
      return array;
    }
    case Kind::kObject: {
      auto object = nlohmann::ordered_json::object();
      for (const auto& [key, member] : value.members) object[key] = to_nlohmann(member);
      return object;
    }
  }
  return nullptr;
}

}  // namespace

JsonValue* JsonValue::find(std::string_view key) {
  for (auto& [name, value] : members) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::string_view to_string(JsonValue::Kind kind) {
  switch (kind) {
    case Kind::kNull: return "null";
    case Kind::kBool: return "a boolean";
    case Kind::kSigned:
    case Kind::kUnsigned: return "an integer";
    case Kind::kFloat: return "a number";
    case Kind::kString: return "a string";
    case Kind::kArray: return "an array";
    case Kind::kObject: return "an object";
  }
  return "a value";
}

Result<JsonValue> parse_json(std::string_view text, const std::string& file_name) {
  if (text.size() > kMaxDocumentBytes) {
    return fail(ErrorCode::kTooLarge, file_name + ": " + std::to_string(text.size()) + " bytes; the limit is 1 MiB");
  }
  TreeBuilder builder(text);
  const CountingCursor first(text.data(), builder.reached());
  const CountingCursor last(text.data() + text.size(), builder.reached());
  const bool fine = nlohmann::json::sax_parse(first, last, &builder);
  if (fine) return std::move(builder.root());
  Problem problem = builder.problem().value_or(Problem{"not-json", {}, "not a JSON document"});
  Error error{ErrorCode::kInvalid, 0, file_name + ": " + problem.message, {}, {}};
  error.problems.push_back(std::move(problem));
  return fail(std::move(error));
}

std::string dump_json(const JsonValue& value) {
  return to_nlohmann(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace mapshift::config
