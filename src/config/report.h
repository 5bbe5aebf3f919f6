// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mapshift::config {

// Collects all that is wrong with one document.
class Report {
 public:
  explicit Report(std::string file_name) : file_name_(std::move(file_name)) {}
  // `line` 0: the complaint is not about a place in the file.
  void add(std::string code, std::string where, int line, const std::string& message);
  [[nodiscard]] bool empty() const { return problems_.empty(); }
  [[nodiscard]] size_t size() const { return problems_.size() + left_out_; }
  // kInvalid, with every problem; the message holds them all, one a line.
  [[nodiscard]] Error error() const;

 private:
  std::string file_name_;
  std::vector<Problem> problems_;
  size_t left_out_ = 0;
};

// The candidate that `name` is most likely a slip of, or empty.
[[nodiscard]] std::string nearest(std::string_view name, const std::vector<std::string>& candidates);
// `; did you mean "x"?`, or `; known: a, b`.
[[nodiscard]] std::string suggestion(std::string_view name, const std::vector<std::string>& candidates);
// [A-Za-z0-9_-]{1,63}: safe as a file name, a label and a part of a path.
[[nodiscard]] bool is_name(std::string_view text);
// The same, perhaps of one instance of a module: "count@eth0".
[[nodiscard]] bool is_full_name(std::string_view text);
inline constexpr std::string_view kNameRule = "a name: 1 to 63 letters, digits, '_' and '-'";

}  // namespace mapshift::config
