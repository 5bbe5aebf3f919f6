// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <limits>

namespace mapshift {
namespace {

struct Unit {
  std::string_view name;
  int64_t nanos;
};
// Largest first; "ms" stands before "m" so that a prefix match finds the longer name.
constexpr std::array<Unit, 7> kUnits = {{{"ns", 1}, {"us", 1'000}, {"ms", 1'000'000}, {"d", 86'400'000'000'000},
                                         {"h", 3'600'000'000'000}, {"m", 60'000'000'000}, {"s", 1'000'000'000}}};

tl::unexpected<Error> bad_duration(std::string_view text) {
  return fail(ErrorCode::kInvalid, "\"" + std::string(text) + "\" is not a duration: write a number and a unit (ms, s, m, h, d), such as \"60s\" or \"1m30s\"");
}

}  // namespace

Nanos monotonic_now() {
  timespec ts{};
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return std::chrono::seconds(ts.tv_sec) + Nanos(ts.tv_nsec);
}

std::string format_time(WallTime at) {
  using namespace std::chrono;
  const auto ms = duration_cast<milliseconds>(at.time_since_epoch()).count();
  auto secs = static_cast<time_t>(ms / 1000);
  int rest = static_cast<int>(ms % 1000);
  if (rest < 0) {
    rest += 1000;
    --secs;
  }
  tm parts{};
  gmtime_r(&secs, &parts);
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                parts.tm_hour, parts.tm_min, parts.tm_sec, rest);
  return buffer;
}

std::string now_text() { return format_time(std::chrono::system_clock::now()); }

Result<WallTime> parse_time(std::string_view text) {
  tm parts{};
  const std::string copy(text);
  const char* end = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (end == nullptr) return fail(ErrorCode::kInvalid, "\"" + copy + "\" is not a time: write it like 2026-01-01T00:00:00Z");
  double fraction = 0;
  if (*end == '.') {
    double scale = 0.1;
    for (++end; std::isdigit(static_cast<unsigned char>(*end)); ++end, scale /= 10) fraction += (*end - '0') * scale;
  }
  long offset = 0;
  if (*end == 'Z') {
    ++end;
  } else if (*end == '+' || *end == '-') {
    int hours = 0;
    int minutes = 0;
    int length = 0;
    if (std::sscanf(end + 1, "%2d:%2d%n", &hours, &minutes, &length) != 2 || length != 5) return fail(ErrorCode::kInvalid, "\"" + copy + "\" has a broken time zone");
    offset = (hours * 3600L + minutes * 60L) * (*end == '-' ? -1 : 1);
    end += 6;
  }
  if (*end != '\0') return fail(ErrorCode::kInvalid, "\"" + copy + "\" is not a time: write it like 2026-01-01T00:00:00Z");
  const time_t secs = timegm(&parts) - offset;
  return std::chrono::system_clock::from_time_t(secs) + std::chrono::milliseconds(static_cast<int64_t>(fraction * 1000 + 0.5));
}

Result<Nanos> parse_duration(std::string_view text) {
  if (text == "0") return Nanos(0);
  if (text.empty()) return bad_duration(text);
  double total = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    double number = 0;
    if (!std::isdigit(static_cast<unsigned char>(rest.front()))) return bad_duration(text);
    const auto [next, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (error != std::errc{}) return bad_duration(text);
    rest.remove_prefix(static_cast<size_t>(next - rest.data()));
    const Unit* unit = nullptr;
    for (const Unit& candidate : kUnits) {
      if (unit == nullptr && rest.starts_with(candidate.name)) unit = &candidate;
    }
    if (unit == nullptr) return bad_duration(text);
    rest.remove_prefix(unit->name.size());
    total += number * static_cast<double>(unit->nanos);
  }
  if (!(total < static_cast<double>(std::numeric_limits<int64_t>::max()) / 4)) return bad_duration(text);
  return Nanos(static_cast<int64_t>(total));
}

std::string format_duration(Nanos duration) {
  int64_t ms = duration.count() / 1'000'000;
  if (ms == 0) return "0s";
  std::string text;
  constexpr std::array<std::pair<std::string_view, int64_t>, 5> units = {{{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};
  for (const auto& [name, size] : units) {
    if (ms / size == 0) continue;
    text += std::to_string(ms / size);
    text += name;
    ms %= size;
  }
  return text;
}

}  // namespace mapshift
