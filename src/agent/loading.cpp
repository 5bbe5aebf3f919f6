// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>

#include "agent/agent.h"
#include "base/log.h"
#include "update/load_request.h"
#include "update/objectives.h"

namespace mapshift::agent {

Result<std::string> Agent::find_manifest(const std::string& name) {
  const std::lock_guard lock(mutex_);
  std::string folders;
  for (const std::string& folder : config_.module_dirs) {
    std::string path = folder + "/" + name + ".json";
    std::error_code error;
    if (std::filesystem::is_regular_file(path, error)) return path;
    folders += (folders.empty() ? "" : ", ") + folder;
  }
  return fail(ErrorCode::kNotFound, "there is no " + name + ".json in module_dirs (" + (folders.empty() ? "none" : folders) + ")");
}

Result<update::ModuleRecord> Agent::load(const update::Manifest& manifest) {
  const std::lock_guard change(change_);
  if (auto loaded = store_->module(manifest.name); loaded) {
    return fail(ErrorCode::kConflict, "module \"" + manifest.name + "\" is loaded already, as generation " + std::to_string(loaded->generation) +
                                          " (version " + loaded->version + "): `mapshift update` changes it, `mapshift unload` removes it");
  }
  MS_TRY(Prepared prepared, prepare(manifest, 1, ""));
  config::Limits limits;
  {
    const std::lock_guard lock(mutex_);
    limits = config_.limits;
  }
  update::Plan plan = plan_load(*kernel_, prepared, limits);
  // The sources are not asked: nothing is judged until there is an update.
  const update::Judging judging = update::judging_of(manifest, {}, {}, prepared.input.object, attached_programs(prepared));
  plan.refusals.insert(plan.refusals.end(), judging.refusals.begin(), judging.refusals.end());
  if (!plan.refusals.empty()) {
    return fail(Error{ErrorCode::kRefused, 0, "module \"" + manifest.name + "\" cannot be loaded", {}, plan.refusals});
  }
  MS_TRY(prepared.object_path, store_->keep_object(manifest.object, prepared.input.object.digest));
  store::ModuleRow row{manifest.name, 1, manifest.version, prepared.input.object.digest, manifest.text, prepared.object_path, "loading"};
  MS_CHECK(store_->put_module(row));
  if (Status loaded = load_generation(prepared, plan, row); !loaded) {
    Error error = loaded.error();
    if (Status gone = tear_down(manifest.name); !gone) error.message += "; and cleaning up failed: " + gone.error().message;
    if (Status removed = store_->remove_module(manifest.name); !removed) error.message += "; " + removed.error().message;
    return fail(std::move(error));
  }
  row.state = "active";
  MS_CHECK(store_->put_module(row));
  show_module(row, "");
  changes_.published(row.name, row.generation);
  log::info("module loaded", {{"module", row.name}, {"version", row.version}, {"generation", "1"}});
  wake_.notify_all();
  return describe(row);
}

// Loads, attaches in the plan's order, and publishes. What it did on a failure is for the caller to tear down.
Status Agent::load_generation(const Prepared& prepared, const update::Plan& plan, const store::ModuleRow& row) {
  const update::Paths paths(config_.bpffs, row.name);
  MS_TRY(LoadRequest request, update::load_request(prepared.input.manifest, prepared.input.object, prepared.object_path, paths,
                                                         row.generation, config_.state_dir + "/logs"));
  changes_.prepare(prepared.input, request);
  MS_TRY(const LoadReport report, kernel_->load(request));
  MS_TRY(const auto maps, kernel_->list(paths.generation(row.generation) + "/maps"));
  for (const std::string& map : maps) MS_CHECK(kernel_->publish(paths.map(row.generation, map), paths.published(map)));
  for (const update::ProgramPlan& program : plan.programs) {
    const auto attach = prepared.attach.find(program.name);
    const bool skipped = std::find(report.skipped_programs.begin(), report.skipped_programs.end(), program.name) != report.skipped_programs.end();
    if (attach == prepared.attach.end() || skipped) continue;
    Hook hook = update::to_hook(attach->second);
    hook.together = paths.together();
    hook.stub = plan.together;
    MS_CHECK(kernel_->attach(hook, paths.hook(program.name), paths.program(row.generation, program.name)));
  }
  return {};
}

Status Agent::tear_down(const std::string& module) {
  const update::Paths paths(config_.bpffs, module);
  MS_TRY(const auto hooks, kernel_->list(paths.root() + "/hooks"));
  for (const std::string& hook : hooks) MS_CHECK(kernel_->detach(paths.hook(hook)));
  return kernel_->remove_tree(paths.root());
}

Status Agent::unload(const std::string& name) {
  const std::lock_guard change(change_);
  MS_TRY(store::ModuleRow found, row(name));
  if (auto running = active_of_module(name)) {
    return fail(ErrorCode::kConflict, "update " + running->run->record().id + " of module \"" + name + "\" runs: end it with `mapshift abort " + name + "` first");
  }
  reap();
  found.state = "unloading";
  MS_CHECK(store_->put_module(found));
  changes_.unloaded(name);
  leases_.end(name, "the module is unloaded");
  MS_CHECK(tear_down(name));
  MS_CHECK(store_->remove_module(name));
  metrics_.remove_module(name);
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(usage_, [&](const auto& entry) { return entry.first.first == name; });
  }
  if (Status pruned = store_->prune_objects(); !pruned) log::warn("cannot remove unused objects", {{"error", pruned.error().message}});
  log::info("module unloaded", {{"module", name}});
  return {};
}

}  // namespace mapshift::agent
