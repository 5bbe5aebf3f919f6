// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <map>

#include "config/json_members.h"
#include "config/record_json.h"
#include "config/record_moving.h"
#include "slo/indicator.h"

namespace mapshift::config {
namespace {

using Json = nlohmann::ordered_json;
using namespace update;

constexpr std::array kStates{State::kPlanned,    State::kPlanning, State::kLoading,   State::kSyncing,
                             State::kSwapping,   State::kBaking,   State::kCommitted, State::kRollingBack,
                             State::kRolledBack, State::kFailed,   State::kAborted,   State::kStuck};
constexpr std::array kOutcomes{slo::Outcome::kPass, slo::Outcome::kFail, slo::Outcome::kInconclusive, slo::Outcome::kError};

void read_state(Members& in, State& out) {
  std::string text;
  in.get("state", text);
  for (const State state : kStates) {
    if (to_string(state) != text) continue;
    out = state;
    return;
  }
  in.complain("state", "is no state of an update");
}

void read_generation(Members& in, GenerationRef& out) {
  in.get("generation", out.generation);
  in.get("version", out.version);
}

void read_phase(Members& in, PhaseRecord& out) {
  in.get("phase", out.phase);
  in.get("seconds", out.seconds);
}

void read_field(Members& in, FieldRecord& out) {
  in.get("name", out.name);
  in.get("from", out.from);
  in.get("merge", out.merge);
  in.get("origin", out.origin);
  in.get("exact", out.exact);
  in.get("change", out.change);
  in.get("reason", out.reason);
  in.get("when", out.when);
}

void read_map(Members& in, MapRecord& out) {
  in.get("name", out.name);
  in.get("from", out.from);
  in.get("type", out.type);
  in.get("policy", out.policy);
  in.get("reason", out.reason);
  in.get("lossy", out.lossy);
  in.get("changes", out.changes);
  in.get("passes", out.passes);
  in.get("keys", out.keys);
  in.get("added", out.added);
  in.get("changed", out.changed);
  in.get("deleted", out.deleted);
  in.get("conflicts", out.conflicts);
  in.get("clamped", out.clamped);
  in.get("undeclared", out.undeclared);
  in.get("unsynced", out.unsynced);
  in.get("progress", out.progress);
  in.get("mismatched", out.mismatched);
  in.get("staleness_seconds", out.staleness_seconds);
  in.array("fields", out.fields, read_field);
  in.get("class", out.klass);
  in.get("class_reason", out.klass_reason);
  in.get("notes", out.notes);
}

void read_program(Members& in, ProgramRecord& out) {
  in.get("name", out.name);
  in.get("type", out.type);
  in.get("swap", out.swap);
  in.get("order", out.order);
  in.get("overlap_seconds", out.overlap_seconds);
  in.get("reason", out.reason);
}

void read_measurement(Members& in, slo::Measurement& out) {
  std::string outcome = "pass";
  in.get("objective", out.objective);
  in.get("at", out.at);
  in.get("value", out.value);
  in.get("limit", out.limit);
  in.get("outcome", outcome);
  in.get("message", out.message);
  for (const slo::Outcome known : kOutcomes) {
    if (slo::name_of(known) != outcome) continue;
    out.outcome = known;
    return;
  }
  in.complain("outcome", "is no outcome of a measurement");
}

void read_problem(Members& in, Problem& out) {
  in.get("code", out.code);
  in.get("where", out.where);
  in.get("message", out.message);
}

void read_alert(Members& in, AlertRecord& out) {
  in.get("name", out.name);
  in.get("fingerprint", out.fingerprint);
  in.get("started_at", out.started_at);
  in.get("received_at", out.received_at);
  in.get("disposition", out.disposition);
  in.get("message", out.message);
  in.get("times", out.times);
}

void read_update(Members& in, UpdateRecord& out) {
  in.get("id", out.id);
  in.get("module", out.module);
  read_state(in, out.state);
  in.get("reason", out.reason);
  in.get("trigger", out.trigger);
  in.object("from", [&](Members& from) { read_generation(from, out.from); });
  in.object("to", [&](Members& to) { read_generation(to, out.to); });
  in.get("created_at", out.created_at);
  in.get("updated_at", out.updated_at);
  in.get("revision", out.revision);
  in.array("phases", out.phases, read_phase);
  in.array("maps", out.maps, read_map);
  in.array("programs", out.programs, read_program);
  read_moving(in, out);
  in.get("interruption_seconds", out.interruption_seconds);
  in.get("mixed_window_seconds", out.mixed_window_seconds);
  in.get("bake_seconds", out.bake_seconds);
  in.get("rollback_seconds", out.rollback_seconds);
  in.get("baselines", out.baselines);
  in.array("measurements", out.measurements, read_measurement);
  in.array("warnings", out.warnings, read_problem);
  in.array("refusals", out.refusals, read_problem);
  in.get("digest", out.digest);
  in.array("alerts", out.alerts, read_alert);
  in.get("alert_path", out.alert_path);
}

void read_module_program(Members& in, ModuleProgram& out) {
  in.get("name", out.name);
  in.get("type", out.type);
  in.get("attach", out.attach);
  in.get("id", out.id);
  in.get("runs", out.runs);
  in.get("missed", out.missed);
  in.get("run_seconds", out.run_seconds);
}

void read_map_changes(Members& in, MapChanges& out) {
  in.get("source", out.source);
  in.get("mode", out.mode);
  in.get("complete", out.complete);
  in.get("reason", out.reason);
  in.get("problem", out.problem);
  in.get("version", out.version);
  in.get("seen", out.seen);
  in.get("lost", out.lost);
}

void read_kept(Members& in, KeptRecord& out) {
  in.get("id", out.id);
  in.get("until", out.until);
  in.array("holders", out.holders, [](Members& holder, KeptHolder& one) {
    holder.get("pid", one.pid);
    holder.get("comm", one.comm);
  });
  in.get("holder_count", out.holder_count);
  in.get("problem", out.problem);
}

void read_module_map(Members& in, ModuleMap& out) {
  in.get("name", out.name);
  in.get("type", out.type);
  in.get("id", out.id);
  in.get("key_size", out.key_size);
  in.get("value_size", out.value_size);
  in.get("max_entries", out.max_entries);
  in.get("entries", out.entries);
  in.get("memory_bytes", out.memory_bytes);
  in.get("pin", out.pin);
  in.get("uncounted", out.uncounted);
  in.object("changes", [&](Members& changes) { read_map_changes(changes, out.changes.emplace()); });
  in.object("kept", [&](Members& kept) { read_kept(kept, out.kept.emplace()); });
}

}  // namespace

Result<UpdateRecord> update_from_json(const Json& document) {
  std::string error;
  UpdateRecord out;
  Members in(document, "", error);
  read_update(in, out);
  if (!error.empty()) return fail(ErrorCode::kInvalid, "not a record of an update: " + error);
  return out;
}

Result<UpdateRecord> update_from_json(const nlohmann::json& document) { return update_from_json(Json(document)); }

Result<ModuleRecord> module_from_json(const Json& document) {
  std::string error;
  ModuleRecord out;
  Members in(document, "", error);
  in.get("name", out.name);
  in.get("generation", out.generation);
  in.get("version", out.version);
  in.get("digest", out.digest);
  in.array("programs", out.programs, read_module_program);
  in.array("maps", out.maps, read_module_map);
  in.object("running_update", [&](Members& update) { read_update(update, out.running_update.emplace_back()); });
  if (!error.empty()) return fail(ErrorCode::kInvalid, "not a record of a module: " + error);
  return out;
}

}  // namespace mapshift::config
