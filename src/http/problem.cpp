// SPDX-License-Identifier: Apache-2.0
#include "http/problem.h"

#include <nlohmann/json.hpp>

namespace mapshift::http {
namespace {

using Json = nlohmann::ordered_json;

Response document(int status, const std::string& code, const std::string& detail, Json errors, const std::string& context) {
  Json body = {{"type", "urn:mapshift:problem:" + code},
               {"title", reason_phrase(status)},
               {"status", status},
               {"detail", detail},
               {"errors", std::move(errors)}};
  if (!context.empty()) body["context"] = context;
  Response response{status, "application/problem+json", {}, {}};
  // Messages quote names from outside, which may hold any byte.
  response.body = body.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  if (status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"mapshift\"");
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

}  // namespace

int status_of(const Error& error, About about) {
  const bool content = about == About::kContent;
  switch (error.code) {
    case ErrorCode::kInvalid: return content ? 422 : 400;
    case ErrorCode::kRefused: return 422;
    case ErrorCode::kNotFound: return content ? 422 : 404;
    case ErrorCode::kConflict: return 409;
    case ErrorCode::kStale: return 412;
    case ErrorCode::kUnauthorized: return 401;
    case ErrorCode::kTooLarge: return 413;
    case ErrorCode::kUnsupported: return 422;
    // With a verifier's log the object is to blame, else this host.
    case ErrorCode::kKernel: return error.context.empty() ? 500 : 422;
    case ErrorCode::kTimeout: return 504;
    case ErrorCode::kUnavailable: return 503;
    case ErrorCode::kInternal: return 500;
  }
  return 500;
}

Response problem(const Error& error, About about) {
  Json errors = Json::array();
  for (const Problem& one : error.problems) errors.push_back({{"code", one.code}, {"where", one.where}, {"message", one.message}});
  const std::string code(to_string(error.code));
  if (errors.empty()) errors.push_back({{"code", code}, {"where", ""}, {"message", error.message}});
  return document(status_of(error, about), code, error.message, std::move(errors), error.context);
}

Response problem(int status, const std::string& code, const std::string& detail) {
  return document(status, code, detail, Json::array({{{"code", code}, {"where", ""}, {"message", detail}}}), {});
}

}  // namespace mapshift::http
