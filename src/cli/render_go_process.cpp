// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/render_go.h"
#include "cli/render_go_parts.h"
#include "cli/table.h"

namespace mapshift::cli {
namespace {

using namespace observe::go;
using observe::Histogram;

constexpr size_t kWidth = 118;  // of a line without its indent of two
constexpr size_t kRows = 10;    // of pauses, cycles; newest last
constexpr size_t kMaxReasons = 16;

std::string seconds_of(Nanos duration) { return human_seconds(Seconds(duration).count()); }

std::string ago(Nanos then, Nanos now) { return now > then ? seconds_of(now - then) : "0 s"; }

// Each column of a table of durations, but the first.
void add_durations(Table& table, const std::string& what, const Histogram& durations) {
  if (durations.total() == 0) return;
  table.add({fit(what, 40), std::to_string(durations.total()), optional_seconds(quantile(durations, 0.5)),
             optional_seconds(quantile(durations, 0.99)), optional_seconds(highest(durations)), human_seconds(durations.sum)});
}

Table durations_table(const std::string& what) {
  Table table({what, "COUNT", "P50", "P99", "MAX", "SUM"});
  table.align_right({1, 2, 3, 4, 5});
  return table;
}

std::string section(const std::string& title, const Table& table) {
  return table.empty() ? std::string() : fmt::format("\n{}\n{}", title, table.text("  "));
}

std::string runtime_section(const ProcessReport& report) {
  Table table = durations_table("WHAT");
  for (const auto& [kind, pauses] : report.stw_pause) add_durations(table, "stop of the world, " + kind, pauses);
  for (const auto& [kind, pauses] : report.stw_stopping) add_durations(table, "  until all had stopped, " + kind, pauses);
  add_durations(table, "runnable to running", report.sched_latency);
  return section("Since the process began, as its runtime counts", table);
}

std::string probed_section(const ProcessReport& report) {
  Table table = durations_table("WHAT");
  std::vector<std::pair<std::string, const Histogram*>> blocks;
  for (const auto& [reason, waits] : report.block) blocks.emplace_back(reason.empty() ? "?" : reason, &waits);
  std::ranges::stable_sort(blocks, std::greater<>(), [](const auto& block) { return block.second->total(); });
  const size_t shown = std::min(blocks.size(), kMaxReasons);
  for (size_t i = 0; i < shown; ++i) add_durations(table, "wait: " + blocks[i].first, *blocks[i].second);
  add_durations(table, "runnable to running", report.run_queue);
  for (const auto& [op, calls] : report.io) {
    const auto errors = report.io_errors.find(op);
    const bool failed = errors != report.io_errors.end() && errors->second > 0;
    add_durations(table, op + (failed ? fmt::format(" ({} failed)", errors->second) : ""), calls);
  }
  std::string out = section("Seen by probes in windows, scaled to the whole time", table);
  if (shown < blocks.size()) out += fmt::format("  and {} more reasons: see --output json\n", blocks.size() - shown);
  return out;
}

std::string pauses_section(const ProcessReport& report, Nanos now) {
  Table table({"AGO", "STOPPING", "TOTAL", "WHY"});
  table.align_right({0, 1, 2});
  const size_t skipped = report.pauses.size() - std::min(report.pauses.size(), kRows);
  for (size_t i = skipped; i < report.pauses.size(); ++i) {
    const Pause& pause = report.pauses[i];
    const std::string why = pause.reason.empty() ? (pause.gc ? "gc" : "other") : pause.reason;
    table.add({ago(pause.began, now), seconds_of(pause.stopping), seconds_of(pause.total), fit(why, 60)});
  }
  return section("Last stops of the world", table);
}

std::string cycles_section(const ProcessReport& report, Nanos now) {
  Table table({"AGO", "SWEEP TERMINATION", "MARK", "MARK TERMINATION"});
  table.align_right({0, 1, 2, 3});
  const auto phase = [](Nanos time) { return time == Nanos(0) ? std::string("-") : seconds_of(time); };
  const size_t skipped = report.cycles.size() - std::min(report.cycles.size(), kRows);
  for (size_t i = skipped; i < report.cycles.size(); ++i) {
    const Cycle& cycle = report.cycles[i];
    table.add({ago(cycle.began, now), phase(cycle.sweep_termination), phase(cycle.mark), phase(cycle.mark_termination)});
  }
  return section("Last cycles of the garbage collector", table);
}

std::string census_section(const ProcessReport& report, Nanos now) {
  if (report.census_at == Nanos(0)) return {};
  Table groups({"GOROUTINES", "STATE", "REASON"}), functions({"GOROUTINES", "BEGAN IN"});
  for (const GoroutineGroup& group : report.groups)
    groups.add({std::to_string(group.count), fit(group.state, 20), group.reason.empty() ? "-" : fit(group.reason, 60)});
  for (const StartFunction& start : report.start_functions) functions.add({std::to_string(start.count), fit(start.function, 100)});
  std::string out = section(fmt::format("Census of goroutines, {} ago, took {}", ago(report.census_at, now), seconds_of(report.census_took)), groups);
  if (!functions.empty()) out += fmt::format("\n{}", functions.text("  "));
  return out;
}

std::string probing_section(const ProcessReport& report) {
  const Probing& probing = report.probing;
  std::string out = "\nProbes\n";
  if (!probing.why_not.empty()) return out + fmt::format("  never attached in windows: {}\n", fit(probing.why_not, kWidth - 28));
  out += fmt::format("  attached {} of the time, in {} windows; cost {} of the process's CPU time; {} events lost\n", percent(probing.duty),
                     probing.windows, percent(probing.overhead), probing.lost);
  if (probing.crosscheck) out += fmt::format("  saw {:.3f} of what the runtime counted in the same windows; 1 is right\n", *probing.crosscheck);
  return out;
}

std::string counts_line(const ProcessReport& report) {
  std::string out = fmt::format("  {} goroutines, {} collections", optional_count(report.goroutines), optional_count(report.gc_cycles));
  if (report.heap_bytes) out += ", heap " + human_bytes(*report.heap_bytes);
  if (report.created + report.exited > 0) out += fmt::format("; {} goroutines began, {} ended", report.created, report.exited);
  return out + "\n";
}

std::string poller_line(const ProcessReport& report) {
  std::string out;
  for (const auto& [mode, name] : {std::pair{"r", "readable"}, std::pair{"w", "writable"}, std::pair{"rw", "both"}}) {
    const auto found = report.netpoll_events.find(mode);
    if (found != report.netpoll_events.end()) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", found->second, name);
  }
  return out.empty() ? out : fmt::format("  network poller found ready: {}\n", out);
}

}  // namespace

std::string fit(const std::string& text, size_t width) {
  const auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
  std::string out;
  size_t columns = 0, last = 0;  // `last`: where the last column that leaves room for the mark ends
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (begins(text[i]) && ++columns == width) last = out.size();
    if (columns > width) return out.substr(0, last) + "…";
    // U+0080 to U+009F are control characters too: terminals take U+009B for the beginning of a command.
    const bool c1 = c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    out += c < ' ' || c == 0x7f || c1 ? '?' : text[i];
    if (c1) ++i;
  }
  return out;
}

std::string optional_count(const std::optional<uint64_t>& count) { return count ? std::to_string(*count) : "-"; }

std::string optional_seconds(const std::optional<double>& seconds) { return seconds ? human_seconds(*seconds) : "-"; }

std::string percent(double share) {
  if (!std::isfinite(share)) return "-";
  return share < 0.1 ? fmt::format("{:.2g} %", share * 100) : fmt::format("{:.0f} %", share * 100);
}

std::string render_go_process(const ProcessReport& report, Nanos now) {
  std::string out = fmt::format("{}, pid {}, {}{}\n", fit(report.name, 50), report.pid, fit(report.go_version, 24),
                                report.layout_from.empty() ? "" : fmt::format(" (offsets from {})", fit(report.layout_from, 10)));
  for (const std::string& line : {report.path, report.cgroup}) {
    if (!line.empty()) out += fmt::format("  {}\n", fit(line, kWidth));
  }
  if (report.state != State::kCaptured) {
    out += fmt::format("  not captured, {}: {}\n", to_string(report.state), fit(report.reason, 90));
  } else {
    out += counts_line(report) + poller_line(report) + runtime_section(report) + probed_section(report) + pauses_section(report, now) +
           cycles_section(report, now) + census_section(report, now) + probing_section(report);
  }
  for (const std::string& note : report.notes) {
    if (&note == &report.notes.front()) out += "\nNotes\n";
    out += fmt::format("  - {}\n", fit(note, kWidth - 2));
  }
  return out;
}

}  // namespace mapshift::cli
