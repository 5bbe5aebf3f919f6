// SPDX-License-Identifier: Apache-2.0
#include "http/openapi.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "http/routes.h"

namespace mapshift::http {
namespace {

using Json = nlohmann::json;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

void collect_references(const Json& node, std::set<std::string>& out) {
  if (node.is_object() && node.contains("$ref")) out.insert(node["$ref"].get<std::string>().substr(1));
  if (node.is_structured())
    for (const Json& child : node) collect_references(child, out);
}

TEST(OpenApi, DescribesEveryRouteAndNoOther) {
  const Json document = Json::parse(openapi_document());
  size_t described = 0;
  for (const auto& path : document["paths"].items()) described += path.value().size();
  size_t routes = 0;
  for (const Route& route : kRoutes) {
    if (route.listener != Listener::kApi) continue;
    SCOPED_TRACE(route.pattern);
    ++routes;
    const Json& operation = document["paths"][std::string(route.pattern)][lower(route.method)];
    ASSERT_TRUE(operation.is_object()) << "openapi.json lacks it";
    EXPECT_EQ(operation["operationId"], route.name);
    EXPECT_EQ(operation["summary"], route.help);
    EXPECT_EQ(operation.contains("security"), route.auth == Auth::kNone);
    EXPECT_EQ(operation["responses"].contains("401"), route.auth != Auth::kNone);
    EXPECT_EQ(operation.dump().find("\"in\":\"path\"") != std::string::npos, route.pattern.find('{') != std::string_view::npos);
  }
  EXPECT_EQ(described, routes);
}

TEST(OpenApi, ReferencesExist) {
  const Json document = Json::parse(openapi_document());
  std::set<std::string> references;
  collect_references(document, references);
  EXPECT_FALSE(references.empty());
  for (const std::string& reference : references) EXPECT_TRUE(document.contains(Json::json_pointer(reference))) << reference;
}

TEST(Routes, AreUniqueNamedAndExplained) {
  std::set<std::string_view> names;
  std::set<std::pair<std::string_view, std::string_view>> requests;
  std::set<Action> actions;
  for (const Route& route : kRoutes) {
    SCOPED_TRACE(route.pattern);
    EXPECT_TRUE(names.insert(route.name).second);
    EXPECT_TRUE(requests.insert({route.method, route.pattern}).second);
    EXPECT_TRUE(actions.insert(route.action).second);
    EXPECT_FALSE(route.help.empty());
    EXPECT_EQ(route.auth == Auth::kNone, route.listener == Listener::kMetrics || route.action == Action::kOpenApi);
    EXPECT_EQ(match_route(route.listener, route.method, route.pattern).route, &route);
  }
}

}  // namespace
}  // namespace mapshift::http
