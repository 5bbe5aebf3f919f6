// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "alerts/judge.h"

namespace mapshift::alerts {

std::string_view name_of(Disposition disposition) {
  switch (disposition) {
    case Disposition::kAccepted: return "accepted";
    case Disposition::kDuplicate: return "duplicate";
    case Disposition::kStale: return "stale";
    case Disposition::kUnknownModule: return "unknown_module";
    case Disposition::kResolved: return "resolved";
    case Disposition::kNotBaking: return "not_baking";
    case Disposition::kIrreversible: return "irreversible";
    case Disposition::kOtherHost: return "other_host";
    case Disposition::kNoAction: return "no_action";
    case Disposition::kWatchdog: return "watchdog";
    case Disposition::kHeld: return "held";
    case Disposition::kInvalid: return "invalid";
  }
  return "unknown";
}

bool is_automatic(std::string_view trigger) { return trigger == "objective" || trigger == "alert" || trigger == "stall"; }

// A record keeps wall-clock time only of its beginning; phases follow each other without a gap.
std::optional<WallTime> swap_began(const update::UpdateRecord& record) {
  const auto created = parse_time(record.created_at);
  if (!created) return std::nullopt;
  double seconds = 0;
  for (const update::PhaseRecord& phase : record.phases) {
    if (phase.phase == "swapping") return *created + std::chrono::duration_cast<WallTime::duration>(Seconds(seconds));
    seconds += phase.seconds;
  }
  return std::nullopt;
}

UpdateFacts facts_of(const update::UpdateRecord& record) {
  UpdateFacts out{record.id, record.state, swap_began(record)};
  out.lossy = std::ranges::any_of(record.maps, [](const update::MapRecord& map) { return map.lossy; });
  return out;
}

bool names_host(const std::string& instance, const std::set<std::string>& hosts) {
  std::string host = instance;
  std::ranges::transform(host, host.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (hosts.contains(host)) return true;
  if (host.starts_with('[')) return hosts.contains(host.substr(1, std::min(host.find(']'), host.size()) - 1));
  const size_t colon = host.rfind(':');
  return colon != std::string::npos && hosts.contains(host.substr(0, colon));
}

}  // namespace mapshift::alerts
