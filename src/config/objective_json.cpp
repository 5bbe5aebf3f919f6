// SPDX-License-Identifier: Apache-2.0
#include "config/objective_json.h"

#include <algorithm>
#include <charconv>
#include <cctype>
#include <cmath>

#include "kernel/instance_name.h"
#include "slo/indicator.h"

namespace mapshift::config {
namespace {

using namespace std::chrono_literals;
using slo::Indicator;
using slo::Objective;

constexpr size_t kMaxObjectives = 100;
constexpr size_t kMaxQuery = 8192;
constexpr int64_t kMaxCount = 1'000'000;
constexpr std::array<std::pair<std::string_view, slo::OnTrouble>, 2> kOnTrouble{
    {{"hold", slo::OnTrouble::kHold}, {"rollback", slo::OnTrouble::kRollback}}};

// "map.field", "map.a.b", "map.hist[3]", "map@eth0.field", or a global variable: names and dots, nothing else.
bool is_counter(std::string_view text) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '[' || c == ']' || c == kInstanceMark; };
  return !text.empty() && text.size() <= 256 && text.front() != '.' && text.back() != '.' && std::ranges::all_of(text, allowed) &&
         (text.find(kInstanceMark) == std::string_view::npos || is_full_name(text.substr(0, text.find('.'))));
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

// "value", one of the indicator's figures.
const slo::Figure* read_figure(ObjectReader& reader, Objective& out) {
  std::vector<std::pair<std::string_view, std::string>> names;
  for (const slo::Figure& figure : slo::figures(out.indicator)) names.emplace_back(figure.name, figure.name);
  reader.require("value");
  reader.choice<std::string>("value", out.value, names);
  return slo::figure_of(out);
}

void read_program(ObjectReader& reader, Objective& out) {
  reader.require("program");
  reader.text("program", out.program, is_full_name, kNameRule);
  read_figure(reader, out);
}

// What the kernel accepts, and what is safe as one part of a path.
bool is_interface(std::string_view text) {
  const auto allowed = [](unsigned char c) { return c > ' ' && c < 0x7f && c != '/' && c != ':'; };
  return !text.empty() && text.size() <= 15 && text != "." && text != ".." && std::ranges::all_of(text, allowed);
}

void read_host(ObjectReader& reader, Objective& out) {
  reader.text("interface", out.interface, is_interface, "the name of a network interface");
  const slo::Figure* figure = read_figure(reader, out);
  if (figure == nullptr) return;
  if (figure->of_interface) reader.require("interface");
  else if (reader.has("interface")) reader.complain("interface", "bad-indicator", out.value + " is a figure of the whole host");
}

bool is_label(std::string_view text) { return !text.empty() && text.size() <= 256; }

void read_go(ObjectReader& reader, Objective& out) {
  reader.require("process");
  reader.text("process", out.process, is_label, "the name of a Go process, as in its metrics, or a pattern such as \"app*\"");
  reader.text("reason", out.reason, is_label, "why goroutines wait, in the runtime's words, such as \"chan receive\"");
  const slo::Figure* figure = read_figure(reader, out);
  if (figure == nullptr) return;
  if (figure->of_reason) reader.require("reason");
  else if (reader.has("reason")) reader.complain("reason", "bad-indicator", out.value + " is not counted by reason");
}

bool is_alert_name(std::string_view text) { return !text.empty() && text.size() <= 256; }

void read_alert(ObjectReader& reader, Objective& out) {
  reader.text("alert", out.alert, is_alert_name, "the name of an alert");
  if (!reader.has("max")) out.max = 0;  // none may fire
}

bool is_query(std::string_view text) { return !text.empty() && text.size() <= kMaxQuery; }

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
      return reader.text("query", out.query, is_query, "a query of at most 8192 bytes");
    case Indicator::kVerdict:
      reader.require("program");
      reader.text("program", out.program, is_full_name, kNameRule);
      return reader.text("value", out.value);
    case Indicator::kMigration:
      reader.text("map", out.map, is_full_name, kNameRule);
      return static_cast<void>(read_figure(reader, out));
    case Indicator::kHost: return read_host(reader, out);
    case Indicator::kAlert: return read_alert(reader, out);
    case Indicator::kGo: return read_go(reader, out);
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

void read_burn_rate(ObjectReader& reader, Objective& out) {
  std::optional<ObjectReader> burn = reader.object("burnRate");
  if (!burn) return;
  slo::BurnRate rate;
  burn->require("objective");
  burn->require("factor");
  burn->number("objective", rate.objective, 0, 1);
  burn->number("factor", rate.factor, 0, 1e6);
  burn->duration("long", rate.long_window, 100ms, 30 * 24h);
  burn->duration("short", rate.short_window, 10ms, 30 * 24h);
  burn->finish();
  if (rate.objective <= 0 || rate.objective >= 1) burn->complain("objective", "bad-value", "is a share such as 0.999: above 0 and below 1");
  if (rate.factor <= 0) burn->complain("factor", "bad-value", "must be above 0");
  if (rate.short_window >= rate.long_window) burn->complain("short", "bad-value", "must be shorter than \"long\"");
  out.burn_rate = rate;
  for (const char* other : {"max", "min", "maxIncrease"}) {
    if (reader.has(other)) reader.complain(other, "bad-condition", "burnRate stands alone: make this an objective of its own");
  }
  if (!reader.has("ratio") && out.indicator != Indicator::kHost) {
    reader.complain("burnRate", "bad-condition", "needs a \"ratio\" of bad events to all events");
  }
}

void read_condition(ObjectReader& reader, Objective& out) {
  reader.number("max", out.max);
  reader.number("min", out.min);
  read_increase(reader, out);
  read_burn_rate(reader, out);
  const bool given = reader.has("max") || reader.has("min") || reader.has("maxIncrease") || reader.has("burnRate");
  if (!given && out.indicator != Indicator::kAlert) {
    reader.complain("max", "missing-condition", "needs at least one of \"max\", \"min\", \"maxIncrease\", \"burnRate\"");
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
