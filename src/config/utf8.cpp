// SPDX-License-Identifier: Apache-2.0
#include "config/utf8.h"

#include <cstdint>

namespace mapshift::config {
namespace {

// How many bytes the sequence at the front takes, 0 when it is broken: too long a form, a surrogate, above U+10FFFF, cut off.
size_t sequence_length(std::string_view text) {
  const auto byte = [&text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool bad_second = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F) ||
                          (lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F);
  return bad_second ? 0 : length;
}

}  // namespace

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool broken = false;
  while (!text.empty()) {
    const size_t length = sequence_length(text);
    if (length == 0 && !broken) out += "\xEF\xBF\xBD";
    broken = length == 0;
    if (!broken) out += text.substr(0, length);
    text.remove_prefix(broken ? 1 : length);
  }
  return out;
}

}  // namespace mapshift::config
