// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"

#include <fmt/format.h>

#include <filesystem>

#include "cli/changes.h"
#include "cli/check.h"
#include "cli/check_host.h"
#include "cli/completion.h"
#include "cli/decide.h"
#include "cli/follow.h"
#include "cli/go.h"
#include "cli/render_explain.h"
#include "cli/render_plan.h"
#include "cli/render_status.h"
#include "config/record_json.h"

namespace mapshift::cli {
namespace {

using config::module_from_json;
using config::update_from_json;

// Shows a document as `render` words it for people; what cannot be read is an answer of something else than an agent.
template <class Record, class Render>
int show_record(Console& console, const Json& document, const Result<Record>& record, const Render& render) {
  if (!record) return show(console, to_failure(record.error()));
  show(console, document, render(*record));
  return kDone;
}

Json manifest_request(const Options& options) {
  std::error_code error;
  // What is not a file here may be the name of one in the agent's module_dirs.
  const bool name = options.target.find_first_of("/.") == std::string::npos && !std::filesystem::exists(options.target, error);
  const std::filesystem::path path = name ? std::filesystem::path(options.target) : std::filesystem::absolute(options.target, error);
  Json set = Json::object();
  for (const auto& [name, value] : options.set) set[name] = value;
  return {{"manifest", error ? options.target : path.lexically_normal().string()}, {"set", std::move(set)}};
}

int load(const Options& options, Agent& agent, Console& console) {
  const Answer<Json> module = agent.post("/api/v1/modules", manifest_request(options));
  if (!module) return show(console, module.error());
  return show_record(console, *module, module_from_json(*module),
                     [](const auto& record) { return "Loaded " + render_module(record); });
}

int plan(const Options& options, Agent& agent, Console& console) {
  const Answer<Json> answer = agent.post("/api/v1/plans", manifest_request(options));
  if (!answer) return show(console, answer.error());
  const Result<update::UpdateRecord> record = update_from_json(*answer);
  const int status = show_record(console, *answer, record, render_plan);
  return status == kDone && !record->refusals.empty() ? kFailed : status;
}

int start_update(const Options& options, Agent& agent, Console& console) {
  Json request = manifest_request(options);
  if (!options.bake.empty()) request["bake"] = options.bake;
  if (options.allow_lossy) request["allow_lossy"] = true;
  if (options.force_quarantined) request["force_quarantined"] = true;
  std::vector<std::string> headers;
  if (options.if_generation) headers.push_back(fmt::format("If-Match: \"{}\"", *options.if_generation));
  Answer<Json> answer = agent.post("/api/v1/updates", request, std::move(headers));
  if (!answer) return show(console, answer.error());
  if (!options.wait) {
    return show_record(console, *answer, update_from_json(*answer), [](const update::UpdateRecord& record) {
      return render_progress(record) + "\nFollow it with: mapshift explain " + record.id + "\n";
    });
  }
  answer = follow(agent, std::move(*answer), console);
  if (!answer) return show(console, answer.error());
  const Result<update::UpdateRecord> record = update_from_json(*answer);
  const int status = show_record(console, *answer, record, render_outcome);
  return status == kDone ? exit_status(record->state) : status;
}

int unload(const Options& options, Agent& agent, Console& console) {
  const Answer<Json> answer = agent.remove("/api/v1/modules/" + encode(options.target));
  if (!answer) return show(console, answer.error());
  const Json document = answer->is_null() ? Json{{"name", options.target}, {"unloaded", true}} : *answer;
  show(console, document, options.target + " is unloaded.\n");
  return kDone;
}

int adopt(const Options& options, Agent& agent, Console& console) {
  Json request = Json::object();
  if (!options.manifest.empty()) {
    Options of_manifest = options;
    of_manifest.target = options.manifest;
    request = manifest_request(of_manifest);
  }
  request["links"] = options.links;
  if (options.program) request["program"] = *options.program;
  const Answer<Json> module = agent.post("/api/v1/modules/" + encode(options.target) + "/adopt", request);
  if (!module) return show(console, module.error());
  return show_record(console, *module, module_from_json(*module), [](const auto& record) { return "Adopted " + render_module(record); });
}

int status(const Options& options, Agent& agent, Console& console) {
  if (!options.target.empty()) {
    const Answer<Json> module = agent.get("/api/v1/modules/" + encode(options.target));
    if (!module) return show(console, module.error());
    return show_record(console, *module, module_from_json(*module), render_module);
  }
  const Answer<Json> answer = agent.get("/api/v1/modules");
  if (!answer) return show(console, answer.error());
  Result<std::vector<update::ModuleRecord>> modules;
  for (const Json& item : answer->value("modules", Json::array())) {
    Result<update::ModuleRecord> module = module_from_json(item);
    if (!module) return show(console, to_failure(module.error()));
    modules->push_back(std::move(*module));
  }
  return show_record(console, *answer, modules, render_modules);
}

int history(const Options& options, Agent& agent, Console& console) {
  const std::string query = options.target.empty() ? "" : "?module=" + encode(options.target);
  const Answer<Json> answer = agent.get("/api/v1/updates" + query);
  if (!answer) return show(console, answer.error());
  Result<std::vector<update::UpdateRecord>> updates;
  for (const Json& item : answer->value("updates", Json::array())) {
    Result<update::UpdateRecord> record = update_from_json(item);
    if (!record) return show(console, to_failure(record.error()));
    updates->push_back(std::move(*record));
  }
  return show_record(console, *answer, updates, render_history);
}

int explain(const Options& options, Agent& agent, Console& console) {
  const Answer<Json> answer = agent.get("/api/v1/updates/" + encode(options.target));
  if (!answer) return show(console, answer.error());
  return show_record(console, *answer, update_from_json(*answer), render_explain);
}

}  // namespace

int run_command(const Options& options, Transport& transport, Console& console) {
  Agent agent(transport);
  switch (options.command) {
    case Command::kLoad: return load(options, agent, console);
    case Command::kPlan: return plan(options, agent, console);
    case Command::kUpdate: return start_update(options, agent, console);
    case Command::kRollback:
    case Command::kCommit:
    case Command::kAbort: return decide(options, agent, console);
    case Command::kUnload: return unload(options, agent, console);
    case Command::kAdopt: return adopt(options, agent, console);
    case Command::kStatus: return status(options, agent, console);
    case Command::kHistory: return history(options, agent, console);
    case Command::kExplain: return explain(options, agent, console);
    case Command::kChanges: return changes(options, transport, console);
    case Command::kGo: return show_go(options, agent, console);
    case Command::kCheckConfig: return check_config(options, console);
    case Command::kCheckModule: return check_module(options, console);
    case Command::kCheckHost: return check_host(console);
    case Command::kCompletion: show(console, {{"shell", "bash"}, {"script", kBashCompletion}}, kBashCompletion); return kDone;
  }
  return kUsage;
}

}  // namespace mapshift::cli
