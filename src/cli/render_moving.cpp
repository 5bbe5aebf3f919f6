// SPDX-License-Identifier: Apache-2.0
#include "cli/render_moving.h"

#include <fmt/format.h>

#include "cli/table.h"

namespace mapshift::cli {
namespace {

using namespace update;

std::string kind(const CanaryRecord& canary) { return canary.by == "flow" ? "flows" : "events"; }

std::string each(const ComparedSide& side) { return side.run_seconds_avg ? human_seconds(*side.run_seconds_avg) : "-"; }

// The usual few: "2: 99.8 %, 1: 0.2 %".
std::string answers(const ComparedSide& side) {
  uint64_t all = 0;
  for (const auto& [code, count] : side.verdicts) all += count;
  std::string out;
  for (const auto& [code, count] : side.verdicts) {
    out += fmt::format("{}{}: {:.3g} %", out.empty() ? "" : ", ", code, 100.0 * static_cast<double>(count) / static_cast<double>(all));
  }
  return out.empty() ? "-" : out;
}

}  // namespace

std::string render_canary_plan(const UpdateRecord& record) {
  if (!record.canary) return {};
  std::string steps;
  for (const double share : record.canary->steps) steps += fmt::format("{}{:.4g} %", steps.empty() ? "" : ", ", share * 100);
  return fmt::format("Canary: {} of {}{}, each step judged by itself, then all\n", steps, kind(*record.canary),
                     record.canary->by == "flow" ? "" : " at random");
}

std::string render_canary_now(const UpdateRecord& record) {
  if (!record.canary || record.canary->step == 0) return {};
  return fmt::format("canary {} of {}, {:.4g} % of {}", record.canary->step, record.canary->steps.size(), record.canary->share * 100,
                     kind(*record.canary));
}

std::string render_comparison(const UpdateRecord& record) {
  Table table({"PROGRAM", "GENERATION", "EVENTS", "RUN TIME", "RETURNED"});
  std::string missed;
  for (const ComparisonRecord& one : record.comparison) {
    table.add({one.program, fmt::format("{} ({})", record.from.generation, record.from.version), std::to_string(one.from.events), each(one.from),
               answers(one.from)});
    table.add({one.program, fmt::format("{} ({})", record.to.generation, record.to.version), std::to_string(one.to.events), each(one.to),
               answers(one.to)});
    if (one.misses > 0) missed += fmt::format("  {}: {} events found no program\n", one.program, one.misses);
  }
  return table.empty() ? std::string() : "Side by side\n" + table.text("  ") + missed;
}

}  // namespace mapshift::cli
