// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mapshift {

using Seconds = std::chrono::duration<double>;
using Nanos = std::chrono::nanoseconds;
using WallTime = std::chrono::system_clock::time_point;

// CLOCK_MONOTONIC: the clock of bpf_ktime_get_ns().
[[nodiscard]] Nanos monotonic_now();
// "2026-01-01T00:00:00.000Z"
[[nodiscard]] std::string format_time(WallTime at);
[[nodiscard]] std::string now_text();
[[nodiscard]] Result<WallTime> parse_time(std::string_view text);
// Prometheus-like durations: "60s", "500ms", "1m30s", "2h", "1d"; "0" is zero. Never negative.
[[nodiscard]] Result<Nanos> parse_duration(std::string_view text);
// The shortest of that form that is exact to the millisecond: "1m30s".
[[nodiscard]] std::string format_duration(Nanos duration);

}  // namespace mapshift
