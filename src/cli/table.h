// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace mapshift::cli {

// Columns aligned by their widest cell; numbers to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  // Whatever they hold: numbers with a unit, or a dash for one.
  void align_right(std::vector<size_t> columns) { right_ = std::move(columns); }
  [[nodiscard]] bool empty() const { return rows_.size() == 1; }
  [[nodiscard]] std::string text(const std::string& indent = {}) const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<size_t> right_;
};

[[nodiscard]] std::string human_bytes(uint64_t bytes);   // "4.0 MiB"
[[nodiscard]] std::string human_seconds(double seconds); // "12.3 ms", "1m30s"
[[nodiscard]] std::string human_number(double number);

}  // namespace mapshift::cli
