// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "agent/agent.h"
#include "base/log.h"
#include "config/adopt_json.h"
#include "config/manifest.h"
#include "update/load_request.h"

namespace mapshift::agent {
namespace {

update::AttachSpec attach_of(const Hook& hook) {
  update::AttachSpec attach{.type = hook.type, .interface = hook.interface};
  if (!hook.mode.empty()) attach.mode = hook.mode;
  attach.direction = hook.direction;
  attach.path = hook.path;
  attach.hook = hook.hook;
  return attach;
}

bool same_place(const update::AttachSpec& a, const update::AttachSpec& b) {
  return a.type == b.type && a.interface == b.interface && a.direction == b.direction && a.path == b.path && a.hook == b.hook;
}

// What is wrong with a manifest that was given for programs that run.
std::vector<Problem> differences(Kernel& kernel, const update::Paths& paths, const Prepared& known, const AdoptReport& report) {
  std::vector<Problem> problems = known.problems;
  if (std::ranges::any_of(known.input.object.maps, [](const MapSpec& map) { return is_change_log(map.name); })) {
    problems.push_back({"log-off", "maps", "the object logs its changes, and the log of programs that the agent did not load is off: adopt them without a manifest"});
  }
  for (const auto& [name, attach] : known.attach) {
    const auto found = report.hooks.find(name);
    const std::string where = "programs." + name;
    if (found == report.hooks.end()) {
      problems.push_back({"no-link", where, "the manifest attaches it, and no link of it is named; add its --link"});
    } else if (!same_place(attach, attach_of(found->second))) {
      problems.push_back({"attach-differs", where, "its link is " + update::describe_attach(attach_of(found->second)) + ", the manifest says " +
          update::describe_attach(attach)});
    }
  }
  for (const auto& [name, hook] : report.hooks) {
    if (!known.attach.contains(name)) problems.push_back({"unknown-program", "programs." + name, "a link runs it, and the manifest's object does not attach it"});
  }
  for (const std::string& name : report.maps) {
    const bool there = std::ranges::find(known.input.object.maps, name, &MapSpec::name) != known.input.object.maps.end();
    if (!there) problems.push_back({"unknown-map", "maps." + name, "the programs that run use it, and the manifest's object has no map of this name"});
  }
  for (const MapSpec& map : known.input.object.maps) {
    if (map.section == DataSection::kRodata || map.section == DataSection::kKconfig || is_change_log(map.name)) continue;
    const auto running = kernel.read_map_spec(paths.map(1, map.name));
    if (!running) continue;  // no program uses it, so the kernel does not know whose it is
    if (running->type != map.type || running->key_size != map.key_size || running->value_size != map.value_size) {
      problems.push_back({"map-differs", "maps." + map.name, "the running map is another one: " + to_string(running->type) + " with keys of " +
          std::to_string(running->key_size) + " and values of " + std::to_string(running->value_size) + " bytes"});
    }
  }
  return problems;
}

}  // namespace

Result<update::ModuleRecord> Agent::adopt(const http::AdoptOptions& options) {
  if (!ready()) return fail(ErrorCode::kUnavailable, "the agent is still recovering: try again in a moment");
  const std::lock_guard change(change_);
  if (auto loaded = store_->module(options.name); loaded) {
    return fail(ErrorCode::kConflict, "there is a module \"" + options.name + "\" already, at generation " + std::to_string(loaded->generation) +
                                          ": give another name");
  }
  if (options.manifest && options.manifest->name != options.name) {
    return fail(ErrorCode::kInvalid, "the manifest is of a module \"" + options.manifest->name + "\", not of \"" + options.name + "\"");
  }
  if (options.manifest && !options.manifest->instances.empty()) {
    return fail(ErrorCode::kUnsupported, "programs that run have no instances: adopt each place as a module of its own");
  }
  // Without hooks yet: the row names the module before anything is pinned, so that a restart finds what to release.
  MS_TRY(const update::Manifest empty, config::parse_manifest(config::adopted_manifest_text(options.name, "adopted", {}), "/", {}, options.name));
  store::ModuleRow row{options.name, 1, empty.version, "", empty.text, "", "adopting"};
  std::optional<Prepared> known;
  if (options.manifest) {
    MS_TRY(known, prepare(*options.manifest, 1, ""));
    row.version = options.manifest->version;
    row.manifest = options.manifest->text;
    row.digest = known->input.object.digest;
    MS_TRY(row.object_path, store_->keep_object(options.manifest->object, row.digest));
  }
  MS_CHECK(store_->put_module(row));
  if (Status taken = take_over(options, known, row); !taken) {
    Error error = taken.error();
    if (Status gone = release(row.name); !gone) error.message += "; and cleaning up failed: " + gone.error().message;
    return fail(std::move(error));
  }
  row.state = "active";
  MS_CHECK(store_->put_module(row));
  show_module(row, "");
  if (known) {
    LoadRequest unused;  // it is loaded already
    changes_.prepare(known->input, unused);
  }
  changes_.published(row.name, row.generation);
  log::info("module adopted", {{"module", row.name}, {"version", row.version}});
  wake_.notify_all();
  return describe(row);
}

Status Agent::take_over(const http::AdoptOptions& options, const std::optional<Prepared>& known, store::ModuleRow& row) {
  const update::Paths paths(config_.bpffs, row.name);
  AdoptRequest request{options.links, options.program, paths.root(), row.generation};
  if (known) {
    for (const MapSpec& map : known->input.object.maps) request.map_names.push_back(map.name);
    for (const ProgramSpec& program : known->input.object.programs) request.program_names.push_back(program.name);
  }
  MS_TRY(const AdoptReport report, kernel_->adopt(request));
  if (known) {
    std::vector<Problem> problems = differences(*kernel_, paths, *known, report);
    if (!problems.empty()) {
      return fail(Error{ErrorCode::kRefused, 0, "the manifest is not of what runs; nothing was changed", {}, std::move(problems)});
    }
  } else {
    std::map<std::string, update::AttachSpec> attach;
    for (const auto& [name, hook] : report.hooks) attach.emplace(name, attach_of(hook));
    MS_TRY(const update::Manifest manifest, config::parse_manifest(config::adopted_manifest_text(row.name, row.version, attach), "/", {}, row.name));
    row.manifest = manifest.text;
  }
  for (const std::string& map : report.maps) MS_CHECK(kernel_->publish(paths.map(row.generation, map), paths.published(map)));
  return {};
}

// Undoes an adoption: pins go, and whoever held the links before still holds them. Unlike an unload it detaches nothing.
Status Agent::release(const std::string& module) {
  MS_CHECK(kernel_->remove_tree(update::Paths(config_.bpffs, module).root()));
  return store_->remove_module(module);
}

}  // namespace mapshift::agent
