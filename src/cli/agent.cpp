// SPDX-License-Identifier: Apache-2.0
#include "cli/agent.h"

#include <fmt/format.h>

#include <cctype>

#include "config/record_json.h"
#include "config/utf8.h"

namespace mapshift::cli {
namespace {

std::string_view title(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid: return "Invalid";
    case ErrorCode::kRefused: return "Refused";
    case ErrorCode::kNotFound: return "Not found";
    case ErrorCode::kConflict: return "Conflict";
    case ErrorCode::kStale: return "Precondition failed";
    case ErrorCode::kUnauthorized: return "Unauthorized";
    case ErrorCode::kTooLarge: return "Too large";
    case ErrorCode::kUnsupported: return "Not supported";
    case ErrorCode::kKernel: return "System call failed";
    case ErrorCode::kTimeout: return "Timed out";
    case ErrorCode::kUnavailable: return "Agent not reachable";
    case ErrorCode::kInternal: return "Internal error";
  }
  return "Error";
}

}  // namespace

Failure refused_by_agent(const Response& response, Json document) {
  if (!document.is_object())
    document = Json{{"type", "about:blank"}, {"title", "The agent refused"}, {"status", response.status}};
  if (response.status == 401) {
    document["detail"] = document.value("detail", "") +
                         " (the token comes from --token-file, by default RUN_DIR/token: is it there, and may you read it?)";
  }
  return {kFailed, std::move(document)};
}

Failure to_failure(const Error& error) {
  Json document{{"type", "about:blank"}, {"title", title(error.code)}, {"detail", config::valid_utf8(error.message)}};
  document["errors"] = Json::array();
  for (const Problem& problem : error.problems) document["errors"].push_back(config::to_json(problem));
  if (!error.context.empty()) document["context"] = config::valid_utf8(error.context);
  return {error.code == ErrorCode::kUnavailable ? kUnreachable : kFailed, std::move(document)};
}

Answer<Json> Agent::send(const Request& request) {
  const Result<Response> response = transport_.send(request);
  if (!response) return tl::unexpected(to_failure(response.error()));
  Json document = response->body.empty() ? Json() : Json::parse(response->body, nullptr, false);
  if (response->status < 200 || response->status > 299) return tl::unexpected(refused_by_agent(*response, std::move(document)));
  if (!document.is_discarded()) return document;
  return tl::unexpected(to_failure(
      {ErrorCode::kUnavailable, 0, "what answered is not an agent: its answer is no JSON document; check --agent", {}, {}}));
}

Answer<Json> Agent::get(const std::string& path, std::chrono::seconds timeout) {
  return send({.method = "GET", .path = path, .timeout = timeout});
}

Answer<Json> Agent::post(const std::string& path, const Json& body, std::vector<std::string> headers) {
  return send({.method = "POST",
               .path = path,
               .body = body.dump(-1, ' ', false, Json::error_handler_t::replace),
               .headers = std::move(headers)});
}

Answer<Json> Agent::remove(const std::string& path) { return send({.method = "DELETE", .path = path}); }

std::string encode(const std::string& segment) {
  std::string out;
  for (const unsigned char c : segment) {
    const bool plain = std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '~';
    out += plain ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
  }
  return out;
}

}  // namespace mapshift::cli
