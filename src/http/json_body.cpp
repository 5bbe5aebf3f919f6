// SPDX-License-Identifier: Apache-2.0
#include "http/json_body.h"

#include <set>
#include <vector>

namespace mapshift::http {
namespace {

constexpr int kMaxDepth = 64;
constexpr size_t kMaxMembers = 2048;  // of one object, as of a manifest's: each new one is compared with all before it

}  // namespace

Result<Json> parse_object(const std::string& body) {
  std::string wrong;
  std::vector<std::set<std::string>> names;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > kMaxDepth && wrong.empty()) wrong = "It nests deeper than " + std::to_string(kMaxDepth) + " levels.";
    if (!wrong.empty()) return false;
    if (event == Json::parse_event_t::object_start) names.emplace_back();
    if (event == Json::parse_event_t::object_end) names.pop_back();
    if (event == Json::parse_event_t::key && names.back().size() == kMaxMembers)
      wrong = "An object has more than " + std::to_string(kMaxMembers) + " members.";
    else if (event == Json::parse_event_t::key && !names.back().insert(value.get<std::string>()).second)
      wrong = "The member \"" + value.get<std::string>() + "\" occurs twice in one object.";
    return wrong.empty();
  };
  try {
    Json document = Json::parse(body, watch);
    if (wrong.empty() && !document.is_object()) wrong = "It must be a JSON object.";
    if (wrong.empty()) return document;
  } catch (const Json::exception& error) {
    wrong = error.what();
  }
  return fail(ErrorCode::kInvalid, "The body is not what it must be. " + wrong);
}

}  // namespace mapshift::http
