// SPDX-License-Identifier: Apache-2.0
#include "slo/return_code.h"

#include <charconv>
#include <utility>

namespace mapshift::slo {
namespace {

constexpr int kFirst = -1, kLast = 13;
// linux/bpf.h and linux/pkt_cls.h: part of the kernel's interface, so they never change.
constexpr std::pair<std::string_view, int> kNames[] = {
    {"XDP_ABORTED", 0}, {"XDP_DROP", 1},        {"XDP_PASS", 2},       {"XDP_TX", 3},        {"XDP_REDIRECT", 4},
    {"TC_ACT_OK", 0},   {"TC_ACT_RECLASSIFY", 1}, {"TC_ACT_SHOT", 2},  {"TC_ACT_PIPE", 3},   {"TC_ACT_STOLEN", 4},
    {"TC_ACT_QUEUED", 5}, {"TC_ACT_REPEAT", 6}, {"TC_ACT_REDIRECT", 7}, {"TC_ACT_UNSPEC", -1}, {"TCX_NEXT", -1},
    {"TCX_PASS", 0},    {"TCX_DROP", 2},        {"TCX_REDIRECT", 7},   {"SK_DROP", 0},       {"SK_PASS", 1},
};

}  // namespace

std::optional<int> return_code(std::string_view text) {
  for (const auto& [name, code] : kNames) {
    if (name == text) return code;
  }
  int code = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), code);
  if (error != std::errc{} || end != text.data() + text.size() || code < kFirst || code > kLast) return std::nullopt;
  return code;
}

}  // namespace mapshift::slo
