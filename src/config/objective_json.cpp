// SPDX-License-Identifier: Apache-2.0
#include "config/objective_json.h"

#include <algorithm>
#include <charconv>
#include <cctype>
#include <cmath>

#include "slo/indicator.h"

namespace mapshift::config {
namespace {

using namespace std::chrono_literals;
using slo::Indicator;
using slo::Objective;

constexpr size_t kMaxObjectives = 100;
constexpr int64_t kMaxCount = 1'000'000;
constexpr std::array<std::pair<std::string_view, slo::OnTrouble>, 2> kOnTrouble{
    {{"hold", slo::OnTrouble::kHold}, {"rollback", slo::OnTrouble::kRollback}}};

// "map.field", "map.a.b", "map.hist[3]", or a global variable: names and dots, nothing else.
bool is_counter(std::string_view text) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '[' || c == ']'; };
  return !text.empty() && text.size() <= 256 && text.front() != '.' && text.back() != '.' && std::ranges::all_of(text, allowed);
}
constexpr std::string_view kCounterRule = "a counter such as \"stats.dropped\", or a global variable";

bool is_objective_name(std::string_view text) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.'; };
  return !text.empty() && text.size() <= 63 && std::ranges::all_of(text, allowed);
}

std::vector<std::pair<std::string_view, Indicator>> indicator_names() {
  std::vector<std::pair<std::string_view, Indicator>> names;
  for (const slo::IndicatorKind& kind : slo::indicators()) names.emplace_back(kind.name, kind.indicator);
  return names;
}

void read_program(ObjectReader& reader, Objective& out) {
  reader.require("program");
  reader.require("value");
  reader.text("program", out.program, is_name, kNameRule);
  std::vector<std::pair<std::string_view, std::string>> figures;
  for (const slo::ProgramFigure& figure : slo::program_figures()) figures.emplace_back(figure.name, figure.name);
  reader.choice<std::string>("value", out.value, figures);
}

void read_map(ObjectReader& reader, Objective& out) {
  if (std::optional<ObjectReader> ratio = reader.object("ratio")) {
    ratio->require("num");
    ratio->require("den");
    ratio->text("num", out.ratio_num, is_counter, kCounterRule);
    ratio->text("den", out.ratio_den, is_counter, kCounterRule);
    ratio->finish();
  }
  reader.text("counter", out.counter, is_counter, kCounterRule);
  reader.text("field", out.counter, is_counter, kCounterRule);
  const int given =
      static_cast<int>(reader.has("ratio")) + static_cast<int>(reader.has("counter")) + static_cast<int>(reader.has("field"));
  if (given != 1)
    reader.complain("ratio", "bad-indicator",
                    "a map objective needs either \"ratio\" or \"counter\" (also spelt \"field\"), and only one");
}

void read_indicator(ObjectReader& reader, Objective& out) {
  const auto names = indicator_names();
  reader.require("indicator");
  reader.choice<Indicator>("indicator", out.indicator, names);
  switch (out.indicator) {
    case Indicator::kProgram: return read_program(reader, out);
    case Indicator::kMap: return read_map(reader, out);
    case Indicator::kPromql:
      reader.require("query");
      return reader.text("query", out.query);
    case Indicator::kVerdict:
      reader.require("program");
      reader.text("program", out.program, is_name, kNameRule);
      return reader.text("value", out.value);
    case Indicator::kMigration:
    case Indicator::kGo:
    case Indicator::kHost:
    case Indicator::kAlert: return reader.text("value", out.value);
  }
}

void read_increase(ObjectReader& reader, Objective& out) {
  std::string text;
  reader.text("maxIncrease", text);
  if (text.empty()) return;
  double percent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
  const bool fine = error == std::errc{} && std::string_view(end, static_cast<size_t>(text.data() + text.size() - end)) == "%";
  if (!fine || !std::isfinite(percent) || percent < 0) {
    reader.complain("maxIncrease", "bad-value", "\"" + text + "\" is not a share in percent, such as \"200%\"");
    return;
  }
  out.max_increase = percent / 100;
}

void read_condition(ObjectReader& reader, Objective& out) {
  reader.number("max", out.max);
  reader.number("min", out.min);
  read_increase(reader, out);
  const bool given = reader.has("max") || reader.has("min") || reader.has("maxIncrease");
  if (!given && out.indicator != Indicator::kAlert) {
    reader.complain("max", "missing-condition", "needs at least one of \"max\", \"min\", \"maxIncrease\"");
  }
  if (out.max && out.min && *out.min > *out.max)
    reader.complain("min", "bad-condition", "is above \"max\", so no value can pass");
}

}  // namespace

void read_measuring(ObjectReader& reader, Objective& out) {
  reader.duration("initialDelay", out.initial_delay, 0ns, 24h);
  reader.integer_as("count", out.count, 0, kMaxCount);
  reader.integer_as("failureLimit", out.failure_limit, 0, kMaxCount);
  reader.integer_as("consecutiveErrorLimit", out.consecutive_error_limit, 0, kMaxCount);
  reader.integer_as("inconclusiveLimit", out.inconclusive_limit, 0, kMaxCount);
  reader.number("minSamples", out.min_samples, 0, 1e18);
  reader.choice<slo::OnTrouble>("onNoData", out.on_no_data, kOnTrouble);
  reader.choice<slo::OnTrouble>("onError", out.on_error, kOnTrouble);
}

void read_objectives(ObjectReader& reader, std::string_view name, const Objective& defaults, std::vector<Objective>& out) {
  reader.items(name, [&](JsonValue& value, const std::string& where) {
    if (!expect_kind(reader.report(), value, where, JsonValue::Kind::kObject)) return;
    Objective objective = defaults;
    ObjectReader item(reader.report(), value, where);
    item.require("name");
    item.text("name", objective.name, is_objective_name, "a name: 1 to 63 letters, digits, '_', '-' and '.'");
    read_indicator(item, objective);
    read_condition(item, objective);
    item.duration("interval", objective.interval, 10ms, 24h);
    read_measuring(item, objective);
    item.finish();
    const bool twice = std::ranges::any_of(out, [&](const Objective& other) { return other.name == objective.name; });
    if (twice && !objective.name.empty())
      item.complain("name", "duplicate-name", "another objective is called \"" + objective.name + "\"");
    out.push_back(std::move(objective));
  });
  if (out.size() > kMaxObjectives)
    reader.complain(name, "too-many", "more than " + std::to_string(kMaxObjectives) + " objectives");
}

}  // namespace mapshift::config
