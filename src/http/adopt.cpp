// SPDX-License-Identifier: Apache-2.0
#include "http/app.h"
#include "http/body.h"
#include "http/json_body.h"
#include "http/problem.h"

namespace mapshift::http {
namespace {

bool is_id(const Json& value) {
  return value.is_number_unsigned() && value.get<uint64_t>() != 0 && value.get<uint64_t>() <= UINT32_MAX;
}

// Takes "links" and "program" off the body; what is left is read as of any request with a manifest.
Status take_ids(Json& body, AdoptOptions& options) {
  std::vector<Problem> problems;
  const auto links = body.find("links");
  if (links == body.end() || !links->is_array() || links->empty()) {
    problems.push_back({"missing-member", "links", "It must be an array with the ids of links."});
  } else {
    for (const Json& id : *links) {
      if (is_id(id)) {
        options.links.push_back(id.get<uint32_t>());
        continue;
      }
      problems.push_back({"wrong-type", "links", "An id must be a number, as `bpftool link` shows it."});
      break;
    }
  }
  if (const auto program = body.find("program"); program != body.end()) {
    if (is_id(*program)) options.program = program->get<uint32_t>();
    else problems.push_back({"wrong-type", "program", "It must be a number, as `bpftool prog` shows it."});
  }
  body.erase("links");
  body.erase("program");
  if (problems.empty()) return {};
  std::string message = "The body has errors; the first: " + problems.front().where + ": " + problems.front().message;
  return fail(Error{ErrorCode::kInvalid, 0, std::move(message), {}, std::move(problems)});
}

}  // namespace

Response App::adopt(const Call& call) {
  AdoptOptions options{.name = call.parameter};
  auto body = parse_object(call.body);
  if (!body) return problem(body.error());
  if (const Status taken = take_ids(*body, options); !taken) return problem(taken.error());
  if (!body->empty()) {
    const auto request = parse_manifest_request(body->dump(), Members::kManifest);
    if (!request) return problem(request.error());
    auto manifest = read_manifest(*request);
    if (!manifest) return problem(manifest.error(), About::kContent);
    options.manifest = std::move(*manifest);
  }
  const auto record = service_.adopt(options);
  if (!record) return problem(record.error(), About::kContent);
  Response response = module_response(201, *record);
  response.headers.emplace_back("Location", "/api/v1/modules/" + record->name);
  return response;
}

}  // namespace mapshift::http
