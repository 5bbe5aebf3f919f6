// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/clock.h"

namespace mapshift::cli {
namespace {

// Of a terminal: a code point is taken for one column.
size_t columns(const std::string& text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](unsigned char c) { return (c & 0xC0) != 0x80; }));
}

bool is_number(const std::string& text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c) != 0 || c == '.'; });
}

}  // namespace

std::string Table::text(const std::string& indent) const {
  std::vector<size_t> widths;
  std::vector<bool> right(rows_.front().size(), rows_.size() > 1);
  for (size_t r = 0; r < rows_.size(); ++r) {
    widths.resize(std::max(widths.size(), rows_[r].size()));
    for (size_t c = 0; c < rows_[r].size(); ++c) {
      widths[c] = std::max(widths[c], columns(rows_[r][c]));
      if (r > 0 && c < right.size() && !is_number(rows_[r][c])) right[c] = false;
    }
  }
  for (const size_t column : right_) right[column] = true;
  std::string out;
  for (const auto& row : rows_) {
    std::string line = indent;
    for (size_t c = 0; c < row.size(); ++c) {
      const std::string fill(widths[c] - columns(row[c]), ' ');
      const bool to_right = c < right.size() && right[c];
      line += (c == 0 ? "" : "  ") + (to_right ? fill + row[c] : row[c] + fill);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string human_bytes(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto amount = static_cast<double>(bytes);
  size_t unit = 0;
  constexpr std::string_view units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  for (; amount >= 1024 && unit + 1 < std::size(units); ++unit) amount /= 1024;
  return fmt::format("{:.1f} {}", amount, units[unit]);
}

std::string human_seconds(double seconds) {
  if (!std::isfinite(seconds) || seconds <= 0) return "0 s";
  // Below what three digits would round up to 1000.
  if (seconds < 0.9995e-3) return fmt::format("{:.3g} µs", seconds * 1e6);
  if (seconds < 0.9995) return fmt::format("{:.3g} ms", seconds * 1e3);
  if (seconds < 60 || seconds > 1e9) return fmt::format("{:.3g} s", seconds);
  return format_duration(std::chrono::seconds(std::llround(seconds)));
}

std::string human_number(double number) { return fmt::format("{:.6g}", number); }

}  // namespace mapshift::cli
