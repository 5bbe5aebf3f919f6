// SPDX-License-Identifier: Apache-2.0
#include "slo/indicator.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "slo/return_code.h"

namespace mapshift::slo {
namespace {

constexpr std::array kIndicators{
    IndicatorKind{Indicator::kProgram, "program", "run time, runs and missed runs of a BPF program", {}},
    IndicatorKind{Indicator::kMap, "map", "a counter in the module's own maps, as a rate or a ratio", {}},
    IndicatorKind{Indicator::kVerdict, "verdict", "share of one return code of a program that is swapped together", {}},
    IndicatorKind{Indicator::kMigration, "migration", "conflicts, mismatches, stall and unsynced keys of the sync engine", {}},
    IndicatorKind{Indicator::kGo, "go", "pauses, latencies and goroutines of Go processes", {}},
    IndicatorKind{Indicator::kHost, "host", "CPU and softirq time of the host, drops of an interface", {}},
    IndicatorKind{Indicator::kPromql, "promql", "a query to Prometheus", {}},
    IndicatorKind{Indicator::kAlert, "alert", "alerts that fire and concern the module", {}},
};

// Grouped by indicator: figures(indicator) is a part of it.
constexpr std::array kFigures{
    Figure{Indicator::kProgram, "run_time_avg", Reading::kRatio, "s", "seconds of run time over runs"},
    Figure{Indicator::kProgram, "runs_rate", Reading::kRate, "/s", "runs a second"},
    Figure{Indicator::kProgram, "missed_rate", Reading::kRate, "/s", "runs a second that the kernel skipped because of recursion"},
    Figure{Indicator::kMigration, "conflicts", Reading::kGauge, "", "fields that both generations changed, since the update began"},
    Figure{Indicator::kMigration, "mismatches", Reading::kGauge, "", "keys that differ between the generations; those that changed since the last pass count"},
    Figure{Indicator::kMigration, "stall", Reading::kGauge, "s", "time for which the passes have failed; 0 while they succeed"},
    Figure{Indicator::kMigration, "unsynced", Reading::kGauge, "", "keys that a rollback would lose"},
    Figure{.indicator = Indicator::kGo, .name = "stw_p99", .reading = Reading::kGauge, .unit = "s",
           .help = "99th percentile of the stops of the world since the last reading", .of_window = true},
    Figure{.indicator = Indicator::kGo, .name = "sched_p99", .reading = Reading::kGauge, .unit = "s",
           .help = "99th percentile of the time from runnable to running since the last reading", .of_window = true},
    Figure{.indicator = Indicator::kGo, .name = "block_p99", .reading = Reading::kGauge, .unit = "s",
           .help = "99th percentile of the waits for one reason since the last reading", .of_reason = true, .of_window = true},
    Figure{.indicator = Indicator::kGo, .name = "goroutines", .reading = Reading::kGauge, .unit = "", .help = "goroutines now"},
    Figure{Indicator::kHost, "cpu_share", Reading::kRatio, "", "time of all CPUs that was not idle, over all time", true},
    Figure{Indicator::kHost, "softirq_share", Reading::kRatio, "", "time of all CPUs in softirq, over all time", true},
    Figure{Indicator::kHost, "drops_rate", Reading::kRate, "/s", "packets a second that an interface dropped", false, true},
    Figure{Indicator::kHost, "drop_ratio", Reading::kRatio, "", "packets that an interface dropped, over those and the delivered", true,
           true},
};

template <class Table, class Keep>
std::string names(const Table& table, Keep keep) {
  std::string out;
  for (const auto& row : table) {
    if (!keep(row)) continue;
    out += fmt::format("{}{}", out.empty() ? "" : ", ", row.name);
  }
  return out;
}

std::string subject(const Objective& objective) {
  switch (objective.indicator) {
    case Indicator::kProgram: return fmt::format("{} of {}", objective.value, objective.program);
    case Indicator::kPromql: return objective.query;
    case Indicator::kHost:
    case Indicator::kMigration: {
      const std::string& of = objective.indicator == Indicator::kHost ? objective.interface : objective.map;
      if (of.empty()) return fmt::format("{} of the {}", objective.value, name_of(objective.indicator));
      return fmt::format("{} of {}", objective.value, of);
    }
    case Indicator::kAlert:
      return objective.alert.empty() ? "the number of firing alerts" : fmt::format("the number of firing alerts {}", objective.alert);
    case Indicator::kGo:
      if (objective.reason.empty()) return fmt::format("{} of Go process {}", objective.value, objective.process);
      return fmt::format("{} of \"{}\" of Go process {}", objective.value, objective.reason, objective.process);
    case Indicator::kVerdict: return fmt::format("share of {} of {}", objective.value, objective.program);
    case Indicator::kMap: break;
  }
  if (!objective.ratio_num.empty()) return fmt::format("{} / {}", objective.ratio_num, objective.ratio_den);
  if (!objective.counter.empty()) return fmt::format("rate of {}", objective.counter);
  return std::string(name_of(objective.indicator));
}

tl::unexpected<Error> wrong(const Objective& objective, std::string_view what) {
  return fail(ErrorCode::kInvalid, fmt::format("objective {}: {}", objective.name, what));
}

Status check_figure(const Objective& objective) {
  const auto served = figures(objective.indicator);
  if (served.empty()) return {};
  const Figure* figure = figure_of(objective);
  if (figure == nullptr)
    return fail(ErrorCode::kUnsupported,
                fmt::format("objective {}: {} value \"{}\" is not served; use one of: {}", objective.name, name_of(objective.indicator),
                            objective.value, names(served, [](const auto&) { return true; })));
  if (figure->of_interface && objective.interface.empty())
    return wrong(objective, fmt::format("{} needs the \"interface\" to watch", figure->name));
  if (figure->of_reason && objective.reason.empty())
    return wrong(objective, fmt::format("{} needs the \"reason\" for which goroutines wait, such as \"chan receive\"", figure->name));
  return {};
}

// A burn rate is about events that were good or bad: no other ratio has an error budget.
Status check_burn_rate(const Objective& objective) {
  const BurnRate& burn = *objective.burn_rate;
  const Figure* figure = figure_of(objective);
  const bool events = (objective.indicator == Indicator::kMap && !objective.ratio_num.empty()) || (figure != nullptr && figure->share) ||
                      objective.indicator == Indicator::kVerdict;
  if (!events || reading_of(objective) != Reading::kRatio) return wrong(objective, "burnRate needs a ratio of bad events to all events");
  if (objective.max || objective.min || objective.max_increase)
    return wrong(objective, "burnRate stands alone, without max, min and maxIncrease");
  if (!(burn.objective > 0 && burn.objective < 1)) return wrong(objective, "burnRate.objective must be above 0 and below 1");
  if (!(burn.factor > 0)) return wrong(objective, "burnRate.factor must be above 0");
  if (burn.short_window <= Nanos(0) || burn.short_window >= burn.long_window)
    return wrong(objective, "burnRate.short must be shorter than burnRate.long");
  return {};
}

Status check_verdict(const Objective& objective) {
  if (objective.program.empty()) return wrong(objective, "name the program to watch");
  if (return_code(objective.value)) return {};
  return wrong(objective, fmt::format("\"{}\" is no return code: give its name, such as XDP_DROP or TC_ACT_SHOT, or its number, -1 to 13",
                                      objective.value));
}

Status check_members(const Objective& objective) {
  if (!objective.max && !objective.min && !objective.max_increase && !objective.burn_rate)
    return wrong(objective, "set max, min, maxIncrease or burnRate; without one nothing can be judged");
  MS_CHECK(check_figure(objective));
  if (objective.indicator == Indicator::kProgram && objective.program.empty()) return wrong(objective, "name the program to watch");
  if (objective.indicator == Indicator::kVerdict) MS_CHECK(check_verdict(objective));
  if (objective.indicator == Indicator::kGo && objective.process.empty()) return wrong(objective, "name the process to watch");
  if (objective.indicator == Indicator::kPromql && objective.query.empty()) return wrong(objective, "give the query");
  if (objective.indicator == Indicator::kMap) {
    const bool ratio = !objective.ratio_num.empty() && !objective.ratio_den.empty();
    if (ratio == !objective.counter.empty()) return wrong(objective, "name either one counter or both num and den of a ratio");
  }
  if (objective.burn_rate) return check_burn_rate(objective);
  return {};
}

}  // namespace

std::span<const IndicatorKind> indicators() { return kIndicators; }
std::span<const Figure> figures() { return kFigures; }

std::span<const Figure> figures(Indicator indicator) {
  const auto found = std::ranges::equal_range(kFigures, indicator, {}, &Figure::indicator);
  return {found.begin(), found.end()};
}

const Figure* figure_of(const Objective& objective) {
  const auto candidates = figures(objective.indicator);
  const auto found = std::ranges::find(candidates, objective.value, &Figure::name);
  return found == candidates.end() ? nullptr : &*found;
}

std::string_view name_of(Indicator indicator) {
  const auto* found = std::ranges::find(kIndicators, indicator, &IndicatorKind::indicator);
  return found == kIndicators.end() ? std::string_view("unknown") : found->name;
}

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPass: return "pass";
    case Outcome::kFail: return "fail";
    case Outcome::kInconclusive: return "inconclusive";
    case Outcome::kError: return "error";
  }
  return "error";
}

Reading reading_of(const Objective& objective) {
  if (const Figure* figure = figure_of(objective)) return figure->reading;
  if (objective.indicator == Indicator::kVerdict) return Reading::kRatio;
  if (objective.indicator != Indicator::kMap) return Reading::kGauge;
  return objective.ratio_num.empty() ? Reading::kRate : Reading::kRatio;
}

Status check_served(const Objective& objective) {
  const auto* kind = std::ranges::find(kIndicators, objective.indicator, &IndicatorKind::indicator);
  if (kind == kIndicators.end() || !kind->served())
    return fail(ErrorCode::kUnsupported,
                fmt::format("objective {}: indicator \"{}\" is not served: {}; this release serves: {}", objective.name,
                            name_of(objective.indicator), kind == kIndicators.end() ? "it is unknown" : kind->missing,
                            names(kIndicators, [](const auto& row) { return row.served(); })));
  return check_members(objective);
}

std::string describe(const Objective& objective) {
  std::string limits;
  const auto add = [&limits](const std::string& text) { limits += (limits.empty() ? "" : " and ") + text; };
  if (objective.max) add(fmt::format("at or below {:g}", *objective.max));
  if (objective.min) add(fmt::format("at or above {:g}", *objective.min));
  if (objective.max_increase) add(fmt::format("within {:g} % above its value before the update", *objective.max_increase * 100));
  if (objective.burn_rate)
    add(fmt::format("at or below a burn rate of {:g} over {} and {}, for an objective of {:g} %", objective.burn_rate->factor,
                    format_duration(objective.burn_rate->long_window), format_duration(objective.burn_rate->short_window),
                    objective.burn_rate->objective * 100));
  return fmt::format("{}: {} must stay {}; breached by {}", objective.name, subject(objective),
                     limits.empty() ? "(no limit)" : limits,
                     objective.failure_limit == 0 ? "the first failure"
                                                  : fmt::format("more than {} failures", objective.failure_limit));
}

}  // namespace mapshift::slo
