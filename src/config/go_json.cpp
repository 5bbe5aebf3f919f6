// SPDX-License-Identifier: Apache-2.0
#include "config/go_json.h"

#include <cmath>

#include "config/utf8.h"

namespace mapshift::config {
namespace {

using Json = nlohmann::ordered_json;
using namespace observe::go;
using observe::Histogram;

Json number(const std::optional<double>& value) {
  if (!value || !std::isfinite(*value)) return nullptr;
  return *value;
}

Json integer(const std::optional<uint64_t>& value) { return value ? Json(*value) : Json(nullptr); }

double seconds(Nanos duration) { return Seconds(duration).count(); }

Json histogram_json(const Histogram& histogram) {
  return {{"count", histogram.total()},
          {"p50", number(quantile(histogram, 0.5))},
          {"p99", number(quantile(histogram, 0.99))},
          {"max", number(highest(histogram))},
          {"sum", number(histogram.sum)},
          {"sum_is_estimate", histogram.sum_is_estimate},
          {"bounds", histogram.bounds},
          {"counts", histogram.counts}};
}

Json histograms_json(const std::map<std::string, Histogram>& histograms) {
  Json out = Json::object();
  for (const auto& [name, histogram] : histograms) out[valid_utf8(name)] = histogram_json(histogram);
  return out;
}

Json counts_json(const std::map<std::string, uint64_t>& counts) {
  Json out = Json::object();
  for (const auto& [name, count] : counts) out[valid_utf8(name)] = count;
  return out;
}

template <class T, class Convert>
Json array(const std::vector<T>& items, const Convert& convert) {
  Json out = Json::array();
  for (const T& item : items) out.push_back(convert(item));
  return out;
}

Json group_json(const GoroutineGroup& group) {
  return {{"state", valid_utf8(group.state)}, {"reason", valid_utf8(group.reason)}, {"count", group.count}};
}

Json start_function_json(const StartFunction& start) { return {{"function", valid_utf8(start.function)}, {"count", start.count}}; }

Json pause_json(const Pause& pause) {
  return {{"began_ns", pause.began.count()},
          {"stopping_seconds", seconds(pause.stopping)},
          {"total_seconds", seconds(pause.total)},
          {"gc", pause.gc},
          {"reason", valid_utf8(pause.reason)}};
}

Json cycle_json(const Cycle& cycle) {
  return {{"began_ns", cycle.began.count()},
          {"sweep_termination_seconds", seconds(cycle.sweep_termination)},
          {"mark_seconds", seconds(cycle.mark)},
          {"mark_termination_seconds", seconds(cycle.mark_termination)}};
}

Json probing_json(const Probing& probing) {
  return {{"duty", number(probing.duty)}, {"overhead", number(probing.overhead)}, {"crosscheck", number(probing.crosscheck)},
          {"windows", probing.windows},   {"lost", probing.lost},                 {"why_not", valid_utf8(probing.why_not)}};
}

void identity_json(const ProcessReport& report, Json& out) {
  out["name"] = valid_utf8(report.name);
  out["pid"] = report.pid;
  out["start_ticks"] = report.start_ticks;
  out["state"] = to_string(report.state);
  out["reason"] = valid_utf8(report.reason);
  out["notes"] = array(report.notes, [](const std::string& note) { return Json(valid_utf8(note)); });
  out["path"] = valid_utf8(report.path);
  out["cgroup"] = valid_utf8(report.cgroup);
  out["go_version"] = valid_utf8(report.go_version);
  out["layout_from"] = valid_utf8(report.layout_from);
}

}  // namespace

Json to_json(const ProcessReport& report, Nanos now) {
  Json out;
  identity_json(report, out);
  out["read_at_ns"] = now.count();
  out["goroutines"] = integer(report.goroutines);
  out["groups"] = array(report.groups, group_json);
  out["start_functions"] = array(report.start_functions, start_function_json);
  out["census_at_ns"] = report.census_at.count();
  out["census_took_seconds"] = seconds(report.census_took);
  out["gc_cycles"] = integer(report.gc_cycles);
  out["heap_bytes"] = integer(report.heap_bytes);
  out["stw_pause"] = histograms_json(report.stw_pause);
  out["stw_stopping"] = histograms_json(report.stw_stopping);
  out["sched_latency"] = histogram_json(report.sched_latency);
  out["pauses"] = array(report.pauses, pause_json);
  out["cycles"] = array(report.cycles, cycle_json);
  out["block"] = histograms_json(report.block);
  out["run_queue"] = histogram_json(report.run_queue);
  out["netpoll_events"] = counts_json(report.netpoll_events);
  out["io"] = histograms_json(report.io);
  out["io_errors"] = counts_json(report.io_errors);
  out["created"] = report.created;
  out["exited"] = report.exited;
  out["probing"] = probing_json(report.probing);
  return out;
}

}  // namespace mapshift::config
