// SPDX-License-Identifier: Apache-2.0
#include "config/record_json.h"

#include <cmath>

#include "config/record_moving.h"
#include "config/utf8.h"
#include "slo/indicator.h"

namespace mapshift::config {
namespace {

using Json = nlohmann::ordered_json;
using namespace update;

Json number(const std::optional<double>& value) {
  if (!value || !std::isfinite(*value)) return nullptr;
  return *value;
}

template <class T>
Json array(const std::vector<T>& items, Json (*convert)(const T&)) {
  Json out = Json::array();
  for (const T& item : items) out.push_back(convert(item));
  return out;
}

Json generation_json(const GenerationRef& ref) { return {{"generation", ref.generation}, {"version", valid_utf8(ref.version)}}; }

Json phase_json(const PhaseRecord& phase) { return {{"phase", valid_utf8(phase.phase)}, {"seconds", number(phase.seconds)}}; }

Json field_json(const FieldRecord& field) {
  return {{"name", valid_utf8(field.name)},     {"from", valid_utf8(field.from)}, {"merge", valid_utf8(field.merge)},
          {"origin", valid_utf8(field.origin)}, {"exact", field.exact},           {"change", valid_utf8(field.change)},
          {"reason", valid_utf8(field.reason)}, {"when", valid_utf8(field.when)}};
}

Json map_json(const MapRecord& map) {
  Json out;
  out["name"] = valid_utf8(map.name);
  out["policy"] = valid_utf8(map.policy);
  out["reason"] = valid_utf8(map.reason);
  out["lossy"] = map.lossy;
  if (!map.changes.empty()) out["changes"] = valid_utf8(map.changes);
  out["passes"] = map.passes;
  out["keys"] = map.keys;
  out["added"] = map.added;
  out["changed"] = map.changed;
  out["deleted"] = map.deleted;
  out["conflicts"] = map.conflicts;
  out["progress"] = number(map.progress);
  out["mismatched"] = map.mismatched;
  out["clamped"] = map.clamped;
  out["undeclared"] = map.undeclared;
  out["unsynced"] = map.unsynced;
  out["staleness_seconds"] = number(map.staleness_seconds);
  out["from"] = valid_utf8(map.from);
  out["type"] = valid_utf8(map.type);
  out["fields"] = array(map.fields, field_json);
  out["class"] = valid_utf8(map.klass);
  out["class_reason"] = valid_utf8(map.klass_reason);
  Json& notes = out["notes"] = Json::array();
  for (const std::string& note : map.notes) notes.push_back(valid_utf8(note));
  return out;
}

Json program_json(const ProgramRecord& program) {
  return {{"name", valid_utf8(program.name)},
          {"type", valid_utf8(program.type)},
          {"swap", valid_utf8(program.swap)},
          {"order", program.order},
          {"overlap_seconds", number(program.overlap_seconds)},
          {"reason", valid_utf8(program.reason)}};
}

Json measurement_json(const slo::Measurement& measurement) {
  return {{"objective", valid_utf8(measurement.objective)},
          {"at", valid_utf8(measurement.at)},
          {"value", number(measurement.value)},
          {"limit", number(measurement.limit)},
          {"outcome", slo::name_of(measurement.outcome)},
          {"message", valid_utf8(measurement.message)}};
}

Json alert_json(const AlertRecord& alert) {
  return {{"name", valid_utf8(alert.name)},
          {"fingerprint", valid_utf8(alert.fingerprint)},
          {"started_at", valid_utf8(alert.started_at)},
          {"received_at", valid_utf8(alert.received_at)},
          {"disposition", valid_utf8(alert.disposition)},
          {"message", valid_utf8(alert.message)},
          {"times", alert.times}};
}

Json module_program_json(const ModuleProgram& program) {
  return {{"name", valid_utf8(program.name)},
          {"type", valid_utf8(program.type)},
          {"attach", valid_utf8(program.attach)},
          {"id", program.id},
          {"runs", program.runs},
          {"missed", program.missed},
          {"run_seconds", number(program.run_seconds)}};
}

Json module_map_json(const ModuleMap& map) {
  Json out;
  out["name"] = valid_utf8(map.name);
  out["type"] = valid_utf8(map.type);
  out["id"] = map.id;
  out["key_size"] = map.key_size;
  out["value_size"] = map.value_size;
  out["max_entries"] = map.max_entries;
  out["entries"] = map.entries;
  out["memory_bytes"] = map.memory_bytes;
  out["pin"] = valid_utf8(map.pin);
  if (!map.uncounted.empty()) out["uncounted"] = valid_utf8(map.uncounted);
  if (map.changes) {
    out["changes"] = {{"source", valid_utf8(map.changes->source)}, {"mode", valid_utf8(map.changes->mode)},
                      {"complete", map.changes->complete},         {"reason", valid_utf8(map.changes->reason)},
                      {"problem", valid_utf8(map.changes->problem)}, {"version", map.changes->version},
                      {"seen", map.changes->seen},                 {"lost", map.changes->lost}};
  }
  if (map.kept) {
    Json holders = Json::array();
    for (const KeptHolder& holder : map.kept->holders) holders.push_back({{"pid", holder.pid}, {"comm", valid_utf8(holder.comm)}});
    out["kept"] = {{"id", map.kept->id}, {"until", map.kept->until}, {"holders", std::move(holders)},
                   {"holder_count", map.kept->holder_count}, {"problem", valid_utf8(map.kept->problem)}};
  }
  return out;
}

}  // namespace

Json to_json(const Problem& problem) {
  return {{"code", valid_utf8(problem.code)}, {"where", valid_utf8(problem.where)}, {"message", valid_utf8(problem.message)}};
}

Json to_json(const UpdateRecord& record) {
  Json out;
  out["id"] = valid_utf8(record.id);
  out["module"] = valid_utf8(record.module);
  out["state"] = to_string(record.state);
  out["reason"] = valid_utf8(record.reason);
  out["trigger"] = valid_utf8(record.trigger);
  out["from"] = generation_json(record.from);
  out["to"] = generation_json(record.to);
  out["created_at"] = valid_utf8(record.created_at);
  out["updated_at"] = valid_utf8(record.updated_at);
  out["revision"] = record.revision;
  out["phases"] = array(record.phases, phase_json);
  out["maps"] = array(record.maps, map_json);
  out["programs"] = array(record.programs, program_json);
  put_moving(out, record);
  out["interruption_seconds"] = number(record.interruption_seconds);
  out["mixed_window_seconds"] = number(record.mixed_window_seconds);
  out["bake_seconds"] = number(record.bake_seconds);
  out["rollback_seconds"] = number(record.rollback_seconds);
  out["baselines"] = Json::object();
  for (const auto& [objective, value] : record.baselines) out["baselines"][valid_utf8(objective)] = number(value);
  out["measurements"] = array(record.measurements, measurement_json);
  out["warnings"] = array<Problem>(record.warnings, to_json);
  out["refusals"] = array<Problem>(record.refusals, to_json);
  out["digest"] = valid_utf8(record.digest);
  out["alerts"] = array(record.alerts, alert_json);
  out["alert_path"] = valid_utf8(record.alert_path);
  return out;
}

Json to_json(const ModuleRecord& record) {
  Json out;
  out["name"] = valid_utf8(record.name);
  out["generation"] = record.generation;
  out["version"] = valid_utf8(record.version);
  out["digest"] = valid_utf8(record.digest);
  out["programs"] = array(record.programs, module_program_json);
  out["maps"] = array(record.maps, module_map_json);
  out["running_update"] = record.running_update.empty() ? Json(nullptr) : to_json(record.running_update.front());
  return out;
}

}  // namespace mapshift::config
