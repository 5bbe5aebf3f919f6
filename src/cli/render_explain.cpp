// SPDX-License-Identifier: Apache-2.0
#include "cli/render_explain.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "cli/render_plan.h"
#include "cli/render_moving.h"
#include "cli/table.h"
#include "slo/indicator.h"

namespace mapshift::cli {
namespace {

using namespace update;

constexpr size_t kShownMeasurements = 20;  // of one that failed, the last ones tell most

// A record keeps the wall-clock time of its beginning; phases follow each other without a gap.
std::string phases(const UpdateRecord& update) {
  Table table({"PHASE", "TOOK", "BEGAN"});
  const auto created = parse_time(update.created_at);
  Seconds before(0);
  for (const PhaseRecord& phase : update.phases) {
    const auto began = created ? *created + std::chrono::duration_cast<WallTime::duration>(before) : WallTime();
    table.add({phase.phase, human_seconds(phase.seconds), created ? format_time(began) : "-"});
    before += Seconds(phase.seconds);
  }
  return table.empty() ? std::string() : "Phases\n" + table.text("  ");
}

std::string moved(const UpdateRecord& update) {
  Table table({"MAP", "PASSES", "KEYS", "ADDED", "CHANGED", "DELETED", "CONFLICTS", "CLAMPED", "MISMATCHED", "STALENESS"});
  std::string unsynced;
  for (const MapRecord& map : update.maps) {
    if (map.policy != "sync") continue;
    table.add({map.name, std::to_string(map.passes), std::to_string(map.keys), std::to_string(map.added),
               std::to_string(map.changed), std::to_string(map.deleted), std::to_string(map.conflicts),
               std::to_string(map.clamped), std::to_string(map.mismatched), human_seconds(map.staleness_seconds)});
    if (map.undeclared > 0)
      unsynced += fmt::format("  {}: {} values carried whose discriminator says none of the declared values\n", map.name, map.undeclared);
    if (map.unsynced > 0)
      unsynced +=
          fmt::format("  {}: {} keys had no room on the other side; a rollback would lose them\n", map.name, map.unsynced);
  }
  return table.empty() ? std::string() : "What was moved\n" + table.text("  ") + unsynced;
}

std::string number_or(const std::optional<double>& number, const char* otherwise) {
  return number ? human_number(*number) : otherwise;
}

// One line an objective; then what did not pass, one by one.
std::string measurements(const UpdateRecord& update) {
  std::vector<std::string> names;
  for (const slo::Measurement& one : update.measurements) {
    if (std::ranges::find(names, one.objective) == names.end()) names.push_back(one.objective);
  }
  Table table({"OBJECTIVE", "LIMIT", "LAST", "LOWEST", "HIGHEST", "PASS", "FAIL", "INCONCLUSIVE", "ERROR"});
  for (const std::string& name : names) {
    std::optional<double> last;
    std::optional<double> lowest;
    std::optional<double> highest;
    std::optional<double> limit;
    size_t counts[4] = {};
    for (const slo::Measurement& one : update.measurements) {
      if (one.objective != name) continue;
      ++counts[static_cast<size_t>(one.outcome)];
      if (one.limit) limit = one.limit;
      if (!one.value) continue;
      last = one.value;
      lowest = std::min(lowest.value_or(*last), *last);
      highest = std::max(highest.value_or(*last), *last);
    }
    table.add({name, number_or(limit, "-"), number_or(last, "no data"), number_or(lowest, "-"), number_or(highest, "-"),
               std::to_string(counts[0]), std::to_string(counts[1]), std::to_string(counts[2]), std::to_string(counts[3])});
  }
  return table.empty() ? std::string() : "Objectives\n" + table.text("  ");
}

// All of them when they are few, else those that did not pass: the table above has counted the others.
std::string each_measurement(const UpdateRecord& update) {
  Table table({"AT", "OBJECTIVE", "OUTCOME", "VALUE", "LIMIT", "MESSAGE"});
  const bool few = update.measurements.size() <= kShownMeasurements;
  std::vector<const slo::Measurement*> shown;
  for (const slo::Measurement& one : update.measurements) {
    if (few || one.outcome != slo::Outcome::kPass) shown.push_back(&one);
  }
  const size_t first = shown.size() > kShownMeasurements ? shown.size() - kShownMeasurements : 0;
  for (size_t i = first; i < shown.size(); ++i) {
    table.add({shown[i]->at, shown[i]->objective, std::string(slo::name_of(shown[i]->outcome)), number_or(shown[i]->value, "-"),
               number_or(shown[i]->limit, "-"), shown[i]->message});
  }
  const std::string left_out = first > 0 ? fmt::format(" (the last {} of {})", kShownMeasurements, shown.size()) : std::string();
  const std::string title = few ? "Measurements" : "Measurements that did not pass" + left_out + "; --output json has all";
  return table.empty() ? std::string() : title + "\n" + table.text("  ");
}

std::string alerts(const UpdateRecord& update) {
  Table table({"ALERT", "BEGAN", "RECEIVED", "TIMES", "BECAME", "WHY"});
  for (const AlertRecord& alert : update.alerts) {
    table.add({alert.name, alert.started_at, alert.received_at, std::to_string(alert.times), alert.disposition, alert.message});
  }
  std::string path;
  if (update.alert_path == "proven") path = "The alert path was proven: the watchdog arrived throughout the bake.\n";
  if (update.alert_path == "blind") {
    path = "The alert path was blind during the bake, or for a time of it: no watchdog arrived, so an alert could have been missed.\n";
  }
  return table.empty() ? path : "Alerts\n" + table.text("  ") + path;
}

std::string who_decided(const UpdateRecord& update) {
  if (!is_final(update.state) && update.state != State::kRollingBack) return "It is under way; nothing is decided yet.\n";
  return fmt::format("It ended {} by {}{}{}.\n", to_string(update.state), update.trigger.empty() ? "itself" : update.trigger,
                     update.reason.empty() ? "" : ": ", update.reason);
}

std::string where_state_is(const UpdateRecord& update) {
  const std::string before = fmt::format("Generation {} ({})", update.from.generation, update.from.version);
  const std::string after = fmt::format("Generation {} ({})", update.to.generation, update.to.version);
  const std::string and_before = "g" + before.substr(1);
  const std::string and_after = "g" + after.substr(1);
  switch (update.state) {
    case State::kPlanned: return "Nothing was started; " + and_before + " runs.";
    case State::kPlanning:
    case State::kLoading: return before + " runs and holds all state.";
    case State::kSyncing: return before + " runs and holds all state; " + and_after + " is being filled and runs nowhere.";
    case State::kSwapping:
      return "The hooks are being moved from " + and_before + " to " + and_after + "; both are kept in step.";
    case State::kBaking:
      if (const std::string canary = render_canary_now(update); !canary.empty()) {
        return "Both run, " + canary + " on the new one; both hold all state, and setting the share to 0 is the rollback.";
      }
      return after + " runs; " + and_before + " is kept in step, ready for a rollback that loses nothing.";
    case State::kRollingBack: return "The hooks are being moved back to " + and_before + "; both are kept in step.";
    case State::kCommitted: return after + " runs and holds all state; " + and_before + " is gone.";
    case State::kRolledBack:
      return before + " runs again and holds all state, with what was written since the swap; " + and_after + " is gone.";
    case State::kFailed:
    case State::kAborted: return before + " runs and holds all state, untouched; " + and_after + " is gone.";
    case State::kStuck:
      return "A step could not be undone, so nothing more is guessed: both generations are kept, with their pins. Read the "
             "reason above.";
  }
  return {};
}

}  // namespace

std::string render_explain(const UpdateRecord& update) {
  std::string out = fmt::format("Update {} of {}: {}\n", update.id, update.module, to_string(update.state));
  out += fmt::format("Asked for at {}: {}, judged for {}\n", update.created_at, render_generations(update), human_seconds(update.bake_seconds));
  if (!update.digest.empty()) out += fmt::format("Object file: SHA-256 {}\n", update.digest);
  for (const std::string& part :
       {render_planned_maps(update), render_planned_programs(update), render_problems("Warnings", update.warnings),
        render_problems("Refused, because of", update.refusals), render_canary_plan(update), phases(update), moved(update),
        render_comparison(update), measurements(update),
        each_measurement(update), alerts(update)}) {
    if (!part.empty()) out += "\n" + part;
  }
  out += fmt::format("\nInterruption {}, mixed window {}\n", human_seconds(update.interruption_seconds),
                     human_seconds(update.mixed_window_seconds));
  return out + who_decided(update) + where_state_is(update) + "\n";
}

}  // namespace mapshift::cli
