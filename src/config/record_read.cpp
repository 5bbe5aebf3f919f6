// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <limits>
#include <map>

#include "config/record_json.h"
#include "slo/indicator.h"

namespace mapshift::config {
namespace {

using Json = nlohmann::ordered_json;
using namespace update;

// Reads the members of one object; the first wrong type is remembered with its path.
class Members {
 public:
  Members(const Json& object, std::string path, std::string& error) : object_(object), path_(std::move(path)), error_(error) {
    if (!object_.is_object()) complain("", "must be an object");
  }
  void get(const char* name, std::string& out) {
    if (const Json* value = find(name))
      value->is_string() ? static_cast<void>(out = value->get<std::string>()) : complain(name, "must be a string");
  }
  void get(const char* name, bool& out) {
    if (const Json* value = find(name))
      value->is_boolean() ? static_cast<void>(out = value->get<bool>()) : complain(name, "must be a boolean");
  }
  void get(const char* name, double& out) {
    if (const Json* value = find(name))
      value->is_number() ? static_cast<void>(out = value->get<double>()) : complain(name, "must be a number");
  }
  void get(const char* name, std::optional<double>& out) {
    if (double value = 0; find(name) != nullptr) {
      get(name, value);
      out = value;
    }
  }
  template <class T>
    requires std::is_integral_v<T>
  void get(const char* name, T& out) {
    const Json* value = find(name);
    if (value == nullptr) return;
    const bool fits = value->is_number_integer() && (value->is_number_unsigned() || value->get<int64_t>() >= 0) &&
                      value->get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<T>::max());
    fits ? static_cast<void>(out = value->get<T>()) : complain(name, "must be an integer that is not negative");
  }
  void get(const char* name, std::map<std::string, double>& out) {
    const Json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_object()) return complain(name, "must be an object");
    for (const auto& [key, item] : value->items()) {
      if (item.is_number()) out[key] = item.get<double>();
      else if (!item.is_null()) complain(name, "must hold numbers");
    }
  }
  template <class Read>
  void object(const char* name, const Read& read) {
    const Json* value = find(name);
    if (value == nullptr) return;
    Members members(*value, path_ + name + ".", error_);
    read(members);
  }
  template <class T, class Read>
  void array(const char* name, std::vector<T>& out, const Read& read) {
    const Json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_array()) return complain(name, "must be an array");
    for (const Json& item : *value) {
      Members members(item, path_ + name + "[" + std::to_string(out.size()) + "].", error_);
      read(members, out.emplace_back());
    }
  }
  void complain(const std::string& name, const char* what) {
    if (error_.empty()) error_ = "\"" + path_ + name + "\" " + what;
  }

 private:
  // A member that is null counts as absent.
  [[nodiscard]] const Json* find(const char* name) const {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  const Json& object_;
  std::string path_;
  std::string& error_;
};

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
}

void read_map(Members& in, MapRecord& out) {
  in.get("name", out.name);
  in.get("from", out.from);
  in.get("type", out.type);
  in.get("policy", out.policy);
  in.get("reason", out.reason);
  in.get("lossy", out.lossy);
  in.get("passes", out.passes);
  in.get("keys", out.keys);
  in.get("added", out.added);
  in.get("changed", out.changed);
  in.get("deleted", out.deleted);
  in.get("conflicts", out.conflicts);
  in.get("clamped", out.clamped);
  in.get("unsynced", out.unsynced);
  in.get("progress", out.progress);
  in.get("mismatched", out.mismatched);
  in.get("staleness_seconds", out.staleness_seconds);
  in.array("fields", out.fields, read_field);
}

void read_program(Members& in, ProgramRecord& out) {
  in.get("name", out.name);
  in.get("type", out.type);
  in.get("swap", out.swap);
  in.get("order", out.order);
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
  in.object("changes", [&](Members& changes) { read_map_changes(changes, out.changes.emplace()); });
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
