// SPDX-License-Identifier: Apache-2.0
#include "metrics/label.h"

#include <cstdint>

namespace mapshift::metrics {
namespace {

constexpr size_t kMaxBytes = 256;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Range {  // of the second byte, which alone tells overlong forms, surrogates and what is above U+10FFFF
  size_t length;
  uint8_t low, high;
};

Range sequence(uint8_t lead) {
  if (lead < 0x80) return {1, 0, 0};
  if (lead >= 0xC2 && lead <= 0xDF) return {2, 0x80, 0xBF};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead >= 0xE1 && lead <= 0xEF) return {3, 0x80, 0xBF};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead >= 0xF1 && lead <= 0xF3) return {4, 0x80, 0xBF};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// Bytes of the valid character at the start of `text`; 0 when there is none.
size_t character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const Range range = sequence(byte(0));
  if (range.length == 1) return byte(0) >= 0x20 && byte(0) != 0x7F ? 1 : 0;
  if (range.length == 0 || text.size() < range.length) return 0;
  if (byte(1) < range.low || byte(1) > range.high) return 0;
  for (size_t i = 2; i < range.length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  return range.length;
}

}  // namespace

std::string label_value(std::string_view raw) {
  std::string clean;
  while (!raw.empty()) {
    const size_t length = character(raw);
    const std::string_view piece = length == 0 ? kReplacement : raw.substr(0, length);
    if (clean.size() + piece.size() > kMaxBytes) break;
    clean += piece;
    raw.remove_prefix(length == 0 ? 1 : length);
  }
  return clean;
}

}  // namespace mapshift::metrics
