// SPDX-License-Identifier: Apache-2.0
#include "cli/check.h"

#include "config/config.h"
#include "config/manifest.h"
#include "config/record_json.h"
#include "kernel/object_file.h"
#include "kernel/record_type.h"
#include "update/declared_types.h"
#include "update/left_out.h"
#include "update/module_check.h"

namespace mapshift::cli {
int check_config(const Options& options, Console& console) {
  const Result<config::Config> config = config::load_config(options.target);
  if (!config) return show(console, to_failure(config.error()));
  Json warnings = Json::array();
  for (const std::string& sentence : config::not_served(*config)) {
    warnings.push_back(sentence);
    note(console, "warning: " + sentence);
  }
  show(console, {{"file", options.target}, {"valid", true}, {"warnings", warnings}}, options.target + ": valid\n");
  return kDone;
}

int check_module(const Options& options, Console& console) {
  Result<update::Manifest> manifest = config::load_manifest(options.target, options.set);
  if (!manifest) return show(console, to_failure(manifest.error()));
  Result<ObjectSpec> object = read_object_file(manifest->object);
  if (!object) return show(console, to_failure(object.error()));
  std::vector<Problem> unfit = update::apply_declared_types(*manifest, manifest->object, *object);
  const std::vector<Problem> wrong = update::leave_out(*manifest, *object);
  unfit.insert(unfit.end(), wrong.begin(), wrong.end());
  update::ModuleCheck found = update::check_module(*manifest, *object);
  found.problems.insert(found.problems.end(), unfit.begin(), unfit.end());
  for (const auto& [name, rule] : manifest->ringbufs) {
    if (rule.record.empty()) continue;
    if (const auto type = read_record_type(manifest->object, rule.record); !type) found.problems.push_back({"unknown-type", "ringbufs." + name + ".record", type.error().message});
  }
  if (!found.problems.empty()) {
    return show(console, to_failure(Error{ErrorCode::kInvalid, 0, options.target + ": the manifest does not fit its object", {}, found.problems}));
  }
  Json warnings = Json::array();
  for (const Problem& warning : found.warnings) {
    warnings.push_back(config::to_json(warning));
    note(console, "warning: " + warning.where + ": " + warning.message);
  }
  show(console,
       {{"file", options.target},
        {"valid", true},
        {"name", manifest->name},
        {"version", manifest->version},
        {"object", manifest->object},
        {"digest", object->digest},
        {"warnings", warnings}},
       options.target + ": valid (" + manifest->name + " " + manifest->version + ")\n");
  return kDone;
}

}  // namespace mapshift::cli
