// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "fixture.h"

namespace mapshift::http {
namespace {

using testing::HasSubstr;
using Api = HttpTest;

TEST_F(Api, LoadsListsShowsAndUnloadsAModule) {
  const Reply created = api_.send("POST", "/api/v1/modules", body_);
  EXPECT_EQ(created.status, 201) << created.body;
  EXPECT_EQ(created.header("Location"), "/api/v1/modules/flowmeter");
  EXPECT_EQ(created.header("ETag"), "\"1\"");
  EXPECT_EQ(created.header("Cache-Control"), "no-store");
  EXPECT_EQ(json(created)["name"], "flowmeter");
  EXPECT_EQ(problem_code(api_.send("POST", "/api/v1/modules", body_), 409), "conflict");

  const Reply list = api_.send("GET", "/api/v1/modules");
  EXPECT_EQ(list.status, 200);
  EXPECT_EQ(json(list)["modules"].size(), 1u);
  const Reply one = api_.send("GET", "/api/v1/modules/flowmeter");
  EXPECT_EQ(one.status, 200);
  EXPECT_EQ(one.header("ETag"), "\"1\"");
  EXPECT_EQ(json(one)["generation"], 1);

  EXPECT_EQ(api_.send("DELETE", "/api/v1/modules/flowmeter").status, 200);
  EXPECT_EQ(problem_code(api_.send("DELETE", "/api/v1/modules/flowmeter"), 404), "not-found");
  EXPECT_EQ(problem_code(api_.send("GET", "/api/v1/modules/flowmeter"), 404), "not-found");
  EXPECT_EQ(api_.send("GET", "/api/v1/modules").body, "{\"modules\":[]}\n");
}

TEST_F(Api, TakesAManifestInTheBody) {
  const Reply reply =
      api_.send("POST", "/api/v1/modules", R"({"manifest": {"name": "x", "b": 1}, "dir": "/etc/m", "set": {"IFACE": "eth1"}})");
  EXPECT_EQ(reply.status, 201) << reply.body;
  EXPECT_EQ(service_.last_manifest->text, R"({"name":"x","b":1} /etc/m eth1)");
}

TEST_F(Api, NamesAllThatIsWrongWithABody) {
  const Reply reply = api_.send("POST", "/api/v1/updates", R"({"manifest": "relative/one", "set": {"A": 1}, "bake": "soon", "allow_lossy": 1, "nope": 0})");
  (void)problem_code(reply, 400);
  std::vector<std::string> where;
  const Json body = json(reply);
  for (const Json& error : body["errors"]) where.push_back(error["where"]);
  EXPECT_THAT(where, testing::UnorderedElementsAre("manifest", "set.A", "bake", "allow_lossy", "nope"));
}

TEST_F(Api, RefusesBodiesThatAreNotWhatTheyMustBe) {
  for (const std::string bad : {"", "{", "[]", "null", "\"x\"", "{\"manifest\": \"/a\"} trailing", "{\"manifest\": \"/a\", \"manifest\": \"/b\"}",
                                "{\"manifest\": {\"a\": 1, \"a\": 2}, \"dir\": \"/\"}", "{}", "{\"manifest\": 1}", "{\"manifest\": {}}",
                                "{\"manifest\": {}, \"dir\": \"x\"}", "{\"manifest\": \"/a\", \"dir\": \"/b\"}", "{\"manifest\": \"/a\", \"set\": []}",
                                "{\"manifest\": \"/a\\u0000b\"}", "{\"manifest\": \"/\xFF\"}", "{\"manifest\": \"/a\", \"bake\": \"1s\"}"}) {
    SCOPED_TRACE(bad);
    (void)problem_code(api_.send("POST", "/api/v1/plans", bad), 400);
  }
  EXPECT_FALSE(service_.last_manifest);
  const std::string deep = "{\"manifest\":" + std::string(200'000, '[') + std::string(200'000, ']') + "}";
  (void)problem_code(api_.send("POST", "/api/v1/plans", deep), 400);
  std::string wide = "{\"manifest\":{\"a\":1";
  for (int i = 0; i < 3000; ++i) wide += ",\"m" + std::to_string(i) + "\":1";
  const Reply refused = api_.send("POST", "/api/v1/plans", wide + "}}");
  (void)problem_code(refused, 400);
  EXPECT_THAT(refused.body, testing::HasSubstr("more than 2048 members"));
}

TEST_F(Api, AManifestThatIsWrongIsUnprocessable) {
  const Reply reply = api_.send("POST", "/api/v1/plans", R"({"manifest": "/bad"})");
  EXPECT_EQ(problem_code(reply, 422), "a");
  EXPECT_EQ(json(reply)["errors"].size(), 2u);
  EXPECT_EQ(problem_code(api_.send("POST", "/api/v1/updates", R"({"manifest": "/missing"})"), 422), "not-found");
}

TEST_F(Api, APlanWithRefusalsIsStillAPlan) {
  const Reply reply = api_.send("POST", "/api/v1/plans", body_);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(json(reply)["refusals"], 1);
}

TEST_F(Api, StartsAnUpdate) {
  const Reply reply = api_.send("POST", "/api/v1/updates", R"({"manifest": "/m", "bake": "1m30s", "allow_lossy": true})", {"If-Match: \"7\""});
  EXPECT_EQ(reply.status, 202) << reply.body;
  EXPECT_EQ(reply.header("Location"), "/api/v1/updates/u-1");
  EXPECT_EQ(service_.last_options->bake, std::chrono::seconds(90));
  EXPECT_TRUE(service_.last_options->allow_lossy);
  EXPECT_EQ(service_.last_options->if_generation, 7u);
  EXPECT_EQ(service_.last_options->trigger, "api");
  EXPECT_EQ(api_.send("POST", "/api/v1/updates", body_, {"If-Match: *", "User-Agent: mapshift-cli/0.1"}).status, 202);
  EXPECT_FALSE(service_.last_options->if_generation);
  EXPECT_EQ(service_.last_options->trigger, "cli");
  for (const char* bad : {"7", "\"x\"", "\"\"", "\"-1\"", "W/\"7\"", "\"7\", \"8\"", "\"7", "\"99999999999999999999\"", ""}) {
    SCOPED_TRACE(bad);
    (void)problem_code(api_.send("POST", "/api/v1/updates", body_, {std::string("If-Match: ") + bad}), 400);
  }
}

TEST_F(Api, MapsEachErrorToItsStatus) {
  const std::pair<ErrorCode, int> cases[] = {
      {ErrorCode::kInvalid, 422}, {ErrorCode::kRefused, 422}, {ErrorCode::kNotFound, 404}, {ErrorCode::kConflict, 409},
      {ErrorCode::kStale, 412}, {ErrorCode::kTooLarge, 413}, {ErrorCode::kUnsupported, 422}, {ErrorCode::kKernel, 500},
      {ErrorCode::kTimeout, 504}, {ErrorCode::kUnavailable, 503}, {ErrorCode::kInternal, 500}};
  for (const auto& [code, status] : cases) {
    SCOPED_TRACE(to_string(code));
    service_.error = Error{code, 0, "why \xFF", {}, {}};
    EXPECT_EQ(problem_code(api_.send("POST", "/api/v1/updates", body_), status), to_string(code));
  }
  service_.error = Error{ErrorCode::kKernel, 22, "refused by the verifier", "R1 invalid mem access", {}};
  const Reply reply = api_.send("POST", "/api/v1/modules", body_);
  EXPECT_EQ(problem_code(reply, 422), "kernel");
  EXPECT_EQ(json(reply)["context"], "R1 invalid mem access");
}

TEST_F(Api, ARepeatedRequestStartsNothingNew) {
  const std::vector<std::string> key = {"Idempotency-Key: k1"};
  EXPECT_EQ(json(api_.send("POST", "/api/v1/updates", body_, key))["id"], "u-1");
  const Reply again = api_.send("POST", "/api/v1/updates", body_, key);
  EXPECT_EQ(again.status, 202);
  EXPECT_EQ(again.header("Location"), "/api/v1/updates/u-1");
  EXPECT_EQ(service_.records.size(), 1u);
  EXPECT_EQ(service_.last_options->idempotency_key, "k1");
  EXPECT_EQ(problem_code(api_.send("POST", "/api/v1/updates", R"({"manifest": "/other"})", key), 422), "idempotency-key-reused");
  EXPECT_EQ(api_.send("POST", "/api/v1/updates", body_, {"Idempotency-Key: k2"}).status, 202);
  EXPECT_EQ(service_.records.size(), 2u);
  (void)problem_code(api_.send("POST", "/api/v1/updates", body_, {"Idempotency-Key: " + std::string(300, 'k')}), 400);
}

TEST_F(Api, AFailedRequestMayBeRepeated) {
  const std::vector<std::string> key = {"Idempotency-Key: k1"};
  service_.error = Error{ErrorCode::kConflict, 0, "one runs", {}, {}};
  (void)problem_code(api_.send("POST", "/api/v1/updates", body_, key), 409);
  service_.error.reset();
  EXPECT_EQ(api_.send("POST", "/api/v1/updates", body_, key).status, 202);
}

TEST_F(Api, ListsUpdatesNewestFirst) {
  (void)api_.send("POST", "/api/v1/updates", body_);
  (void)api_.send("POST", "/api/v1/updates", body_);
  const Json list = json(api_.send("GET", "/api/v1/updates?module=flowmeter"))["updates"];
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]["id"], "u-2");
  EXPECT_EQ(json(api_.send("GET", "/api/v1/updates"))["updates"].size(), 2u);
  EXPECT_EQ(json(api_.send("GET", "/api/v1/updates?module=other"))["updates"].size(), 0u);
  EXPECT_EQ(json(api_.send("GET", "/api/v1/updates/u-1"))["id"], "u-1");
  EXPECT_EQ(problem_code(api_.send("GET", "/api/v1/updates/u-9"), 404), "not-found");
}

TEST_F(Api, DecidesAnUpdate) {
  (void)api_.send("POST", "/api/v1/updates", body_);
  EXPECT_EQ(api_.send("POST", "/api/v1/updates/u-1/rollback", R"({"reason": "too slow"})").status, 202);
  EXPECT_EQ(service_.last_decision, "u-1 rollback too slow operator");
  EXPECT_EQ(api_.send("POST", "/api/v1/updates/u-1/commit").status, 202);
  EXPECT_EQ(service_.last_decision, "u-1 commit  operator");
  EXPECT_EQ(api_.send("POST", "/api/v1/updates/u-1/abort", "{}").status, 202);
  EXPECT_EQ(service_.last_decision, "u-1 abort  operator");
  for (const std::string& bad : std::vector<std::string>{"[]", R"({"reason": 1})", R"({"why": "x"})", R"({"reason": ")" + std::string(2000, 'x') + "\"}"})
    (void)problem_code(api_.send("POST", "/api/v1/updates/u-1/abort", bad), 400);
  service_.error = Error{ErrorCode::kConflict, 0, "it is over", {}, {}};
  (void)problem_code(api_.send("POST", "/api/v1/updates/u-1/abort"), 409);
}

TEST_F(Api, ReloadsTheConfiguration) {
  EXPECT_EQ(api_.send("POST", "/-/reload").status, 200);
  EXPECT_EQ(service_.reloads, 1);
  service_.error = Error{ErrorCode::kInvalid, 0, "two errors", {}, {{"unknown-member", "line 3", "x"}, {"range", "line 4", "y"}}};
  const Reply reply = api_.send("POST", "/-/reload");
  EXPECT_EQ(problem_code(reply, 422), "unknown-member");
  EXPECT_EQ(json(reply)["errors"].size(), 2u);
}

TEST_F(Api, NeedsTheToken) {
  for (const Route& route : kRoutes) {
    if (route.listener != Listener::kApi) continue;
    SCOPED_TRACE(std::string(route.method) + " " + std::string(route.pattern));
    for (const char* token : {"", "wrong", "secret2", "secre", " "}) {
      const Reply reply = Client{api_.address, token}.send(std::string(route.method), std::string(route.pattern), "{}");
      if (route.auth == Auth::kNone) {
        EXPECT_EQ(reply.status, 200);
      } else {
        EXPECT_EQ(problem_code(reply, 401), "unauthorized");
        EXPECT_THAT(reply.header("WWW-Authenticate"), HasSubstr("Bearer"));
      }
    }
  }
  const Client none{api_.address, ""};
  EXPECT_EQ(none.send("GET", "/api/v1/modules", "", {"Authorization: Basic c2VjcmV0"}).status, 401);
  EXPECT_EQ(none.send("GET", "/api/v1/modules", "", {"Authorization: secret"}).status, 401);
  EXPECT_EQ(none.send("GET", "/api/v1/modules", "", {"authorization: bearer secret"}).status, 200);
  EXPECT_EQ(none.send("GET", "/nothing").status, 401);
  app_.set_token("fresh");
  EXPECT_EQ(api_.send("GET", "/api/v1/modules").status, 401);
  app_.set_token("");
  EXPECT_EQ((Client{api_.address, ""}.send("GET", "/api/v1/modules", "", {"Authorization: Bearer "}).status), 401);
}

TEST_F(Api, WaitsForRecovery) {
  service_.is_ready = false;
  const Reply reply = api_.send("GET", "/api/v1/modules");
  EXPECT_EQ(problem_code(reply, 503), "unavailable");
  EXPECT_EQ(reply.header("Retry-After"), "1");
  EXPECT_EQ(api_.send("GET", "/api/v1/openapi.json").status, 200);
}

TEST_F(Api, TellsWrongPathsFromWrongMethods) {
  for (const char* path : {"/", "/api/v1", "/api/v1/modules/", "/api/v1/modules/a/b", "/api/v1/modules/a%2Fb", "/api/v1/modules/%00",
                           "/api/v1/modules/%zz", "/api/v1/updates/u-1/explode", "/metrics", "/api/v1/../v1/modules", "//api/v1/modules",
                           "/api/v1/modules%2f", "/api/v1/goo", "/api/v1/change", "/api/v1/maps/m"}) {
    SCOPED_TRACE(path);
    EXPECT_EQ(problem_code(api_.send("GET", path), 404), "not-found");
  }
  const Reply wrong = api_.send("PUT", "/api/v1/modules", "{}");
  EXPECT_EQ(problem_code(wrong, 405), "method-not-allowed");
  EXPECT_EQ(wrong.header("Allow"), "GET, HEAD, POST");
  EXPECT_EQ(api_.send("GET", "/-/reload").header("Allow"), "POST");
  EXPECT_EQ(api_.send("POST", "/api/v1/modules/x").header("Allow"), "DELETE, GET, HEAD");
}

TEST_F(Api, HeadIsGetWithoutTheBody) {
  (void)api_.send("POST", "/api/v1/modules", body_);
  for (const char* path : {"/api/v1/modules", "/api/v1/modules/flowmeter", "/api/v1/updates", "/api/v1/openapi.json"}) {
    SCOPED_TRACE(path);
    const Reply get = api_.send("GET", path), head = api_.send("HEAD", path);
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.body, "");
    EXPECT_EQ(head.header("Content-Length"), std::to_string(get.body.size()));
    EXPECT_EQ(head.header("ETag"), get.header("ETag"));
  }
}

TEST_F(Api, ShowsTheMetricsPages) {
  (void)api_.send("GET", "/api/v1/modules");
  (void)api_.send("GET", "/nothing");
  const Reply reply = metrics_client_.send("GET", "/metrics");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(reply.body, HasSubstr("mapshift_http_requests_total{code=\"200\",handler=\"list_modules\"} 1"));
  EXPECT_THAT(reply.body, HasSubstr("mapshift_http_requests_total{code=\"404\",handler=\"none\"} 1"));
  EXPECT_THAT(reply.body, HasSubstr("mapshift_http_request_duration_seconds_count{handler=\"list_modules\"} 1"));
  EXPECT_EQ(metrics_client_.send("HEAD", "/metrics").status, 200);
  EXPECT_EQ(metrics_client_.send("GET", "/metrics?x=1").status, 200);
  for (const char* path : {"/metrics/", "/metricsx", "/metrics/x", "/api/v1/modules", "/favicon.ico"})
    EXPECT_EQ(metrics_client_.send("GET", path).status, 404) << path;
  EXPECT_EQ(metrics_client_.send("POST", "/metrics").status, 405);
  EXPECT_EQ(metrics_client_.send("GET", "/-/healthy").status, 200);
  EXPECT_EQ(metrics_client_.send("GET", "/-/ready").status, 200);
  service_.is_ready = false;
  EXPECT_EQ(metrics_client_.send("GET", "/-/ready").status, 503);
  EXPECT_EQ(metrics_client_.send("GET", "/-/healthy").status, 200);
  const Reply index = metrics_client_.send("GET", "/");
  EXPECT_THAT(index.body, HasSubstr("href=\"/metrics\""));
  EXPECT_THAT(index.header("Content-Security-Policy"), HasSubstr("default-src 'none'"));
  EXPECT_EQ(index.header("X-Content-Type-Options"), "nosniff");
}

}  // namespace
}  // namespace mapshift::http
