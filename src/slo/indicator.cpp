// SPDX-License-Identifier: Apache-2.0
#include "slo/indicator.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace mapshift::slo {
namespace {

constexpr std::array kIndicators{
    IndicatorKind{Indicator::kProgram, "program", true, "run time, runs and missed runs of a BPF program"},
    IndicatorKind{Indicator::kMap, "map", true, "a counter in the module's own maps, as a rate or a ratio"},
    IndicatorKind{Indicator::kVerdict, "verdict", false, "share of each return code of a program"},
    IndicatorKind{Indicator::kMigration, "migration", false, "conflicts, mismatches and stalls of the sync engine"},
    IndicatorKind{Indicator::kGo, "go", false, "figures of Go processes"},
    IndicatorKind{Indicator::kHost, "host", false, "CPU, softirq and packet drops of the host"},
    IndicatorKind{Indicator::kPromql, "promql", false, "a query to Prometheus"},
    IndicatorKind{Indicator::kAlert, "alert", false, "alerts of Alertmanager"},
};

constexpr std::array kProgramFigures{
    ProgramFigure{"run_time_avg", Reading::kRatio, "s", "seconds of run time over runs"},
    ProgramFigure{"runs_rate", Reading::kRate, "/s", "runs a second"},
    ProgramFigure{"missed_rate", Reading::kRate, "/s", "runs a second that the kernel skipped because of recursion"},
};

const ProgramFigure* figure_named(std::string_view name) {
  const auto* found = std::ranges::find(kProgramFigures, name, &ProgramFigure::name);
  return found == kProgramFigures.end() ? nullptr : found;
}

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
  if (objective.indicator == Indicator::kProgram) return fmt::format("{} of {}", objective.value, objective.program);
  if (objective.indicator == Indicator::kPromql) return objective.query;
  if (!objective.ratio_num.empty()) return fmt::format("{} / {}", objective.ratio_num, objective.ratio_den);
  if (!objective.counter.empty()) return fmt::format("rate of {}", objective.counter);
  return std::string(name_of(objective.indicator));
}

Status check_members(const Objective& objective) {
  if (!objective.max && !objective.min && !objective.max_increase)
    return fail(ErrorCode::kInvalid, fmt::format("objective {}: set max, min or maxIncrease; without one nothing can be judged",
                                                 objective.name));
  if (objective.indicator == Indicator::kProgram) {
    if (objective.program.empty())
      return fail(ErrorCode::kInvalid, fmt::format("objective {}: name the program to watch", objective.name));
    if (figure_named(objective.value) == nullptr)
      return fail(ErrorCode::kUnsupported,
                  fmt::format("objective {}: program value \"{}\" is not served; use one of: {}", objective.name, objective.value,
                              names(kProgramFigures, [](const auto&) { return true; })));
    return {};
  }
  const bool ratio = !objective.ratio_num.empty() && !objective.ratio_den.empty();
  if (ratio == !objective.counter.empty())
    return fail(ErrorCode::kInvalid, fmt::format("objective {}: name either one counter or both num and den of a ratio",
                                                 objective.name));
  return {};
}

}  // namespace

std::span<const IndicatorKind> indicators() { return kIndicators; }
std::span<const ProgramFigure> program_figures() { return kProgramFigures; }

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
  if (objective.indicator == Indicator::kProgram) {
    const ProgramFigure* figure = figure_named(objective.value);
    return figure != nullptr ? figure->reading : Reading::kGauge;
  }
  if (objective.indicator != Indicator::kMap) return Reading::kGauge;
  return objective.ratio_num.empty() ? Reading::kRate : Reading::kRatio;
}

Status check_served(const Objective& objective) {
  const auto* kind = std::ranges::find(kIndicators, objective.indicator, &IndicatorKind::indicator);
  if (kind == kIndicators.end() || !kind->served)
    return fail(ErrorCode::kUnsupported,
                fmt::format("objective {}: indicator \"{}\" is not served yet; this release serves: {}", objective.name,
                            name_of(objective.indicator), names(kIndicators, [](const auto& row) { return row.served; })));
  return check_members(objective);
}

std::string describe(const Objective& objective) {
  std::string limits;
  const auto add = [&limits](const std::string& text) { limits += (limits.empty() ? "" : " and ") + text; };
  if (objective.max) add(fmt::format("at or below {:g}", *objective.max));
  if (objective.min) add(fmt::format("at or above {:g}", *objective.min));
  if (objective.max_increase) add(fmt::format("within {:g} % above its value before the update", *objective.max_increase * 100));
  return fmt::format("{}: {} must stay {}; breached by {}", objective.name, subject(objective),
                     limits.empty() ? "(no limit)" : limits,
                     objective.failure_limit == 0 ? "the first failure"
                                                  : fmt::format("more than {} failures", objective.failure_limit));
}

}  // namespace mapshift::slo
