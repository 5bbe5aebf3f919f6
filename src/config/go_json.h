// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/result.h"
#include "observe/go/report.h"

namespace mapshift::config {

// A captured Go process as a document: the members of ProcessReport, times of the monotonic clock as "…_ns", durations as
// "…_seconds". A histogram has its quantiles beside its buckets; "counts" has one element more than "bounds", for what lies above.
// `now`, of the monotonic clock, is "read_at_ns": ages are differences to it. dump() of what comes back does not throw.
[[nodiscard]] nlohmann::ordered_json to_json(const observe::go::ProcessReport& report, Nanos now);
// Members that are absent keep their default; a wrong type, an unknown state or a histogram that is none is kInvalid. Never throws.
[[nodiscard]] Result<observe::go::ProcessReport> go_process_from_json(const nlohmann::ordered_json& document);

}  // namespace mapshift::config
