// SPDX-License-Identifier: Apache-2.0
#include "http/app.h"
#include "http/body.h"
#include "http/problem.h"

namespace mapshift::http {

Response App::module_response(int status, const update::ModuleRecord& record) const {
  return {status, "application/json", codec_.module_text(record) + "\n", {{"ETag", '"' + std::to_string(record.generation) + '"'}}};
}

Result<update::Manifest> App::read_manifest(const ManifestRequest& request) const {
  if (request.path.empty()) return codec_.parse_manifest(request.text, request.folder, request.set, "manifest");
  if (request.path.front() == '/') return codec_.load_manifest(request.path, request.set);
  MS_TRY(const std::string path, service_.find_manifest(request.path));
  return codec_.load_manifest(path, request.set);
}

Response App::load_module(const Call& call) {
  const auto request = parse_manifest_request(call.body, Members::kManifest);
  if (!request) return problem(request.error());
  const auto manifest = read_manifest(*request);
  if (!manifest) return problem(manifest.error(), About::kContent);
  const auto record = service_.load(*manifest);
  // There is no module yet that could be missing: what was not found is named by the manifest.
  if (!record) return problem(record.error(), About::kContent);
  Response response = module_response(201, *record);
  response.headers.emplace_back("Location", "/api/v1/modules/" + record->name);
  return response;
}

Response App::list_modules() {
  std::string list;
  for (const update::ModuleRecord& record : service_.modules()) list += (list.empty() ? "" : ",") + codec_.module_text(record);
  return {200, "application/json", "{\"modules\":[" + list + "]}\n", {}};
}

Response App::show_module(const Call& call) {
  const auto record = service_.module(call.parameter);
  return record ? module_response(200, *record) : problem(record.error());
}

Response App::unload_module(const Call& call) {
  const auto record = service_.module(call.parameter);  // what was there
  if (!record) return problem(record.error());
  const auto done = service_.unload(call.parameter);
  return done ? module_response(200, *record) : problem(done.error());
}

Response App::plan(const Call& call) {
  const auto request = parse_manifest_request(call.body, Members::kManifest);
  if (!request) return problem(request.error());
  const auto manifest = read_manifest(*request);
  if (!manifest) return problem(manifest.error(), About::kContent);
  const auto record = service_.plan(*manifest);
  if (!record) return problem(record.error(), record.error().code == ErrorCode::kInvalid ? About::kContent : About::kRequest);
  return update_response(200, *record);
}

Response App::reload() {
  const auto done = service_.reload();
  if (!done) return problem(done.error(), About::kContent);
  return {200, "application/json", "{\"reloaded\":true}\n", {}};
}

}  // namespace mapshift::http
