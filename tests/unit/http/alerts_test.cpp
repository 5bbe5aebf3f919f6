// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"
#include "http/alerts_body.h"
#include "http/routes.h"

namespace mapshift::http {
namespace {

using alerts::Alert;

constexpr const char* kWebhook = R"({"version": "4", "status": "firing", "groupKey": "{}:{}", "truncatedAlerts": 0, "receiver": "r",
  "alerts": [
    {"status": "firing", "labels": {"alertname": "A", "module": "m", "mapshift_action": "rollback"}, "annotations": {"summary": "S"},
     "startsAt": "2026-01-01T00:00:00.5Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "x", "fingerprint": "f1", "later": [1]},
    {"status": "resolved", "labels": {"alertname": "B"}, "startsAt": "2026-01-01T00:00:00+01:00", "fingerprint": "f2"}]})";

class AlertsRoute : public HttpTest {
 protected:
  Reply post(const std::string& body, const std::string& token = "rollback-only") {
    return Client{api_server_->address(), token}.send("POST", "/api/v1/alerts", body);
  }
};

TEST_F(AlertsRoute, EachAlertIsAnsweredWithItsDisposition) {
  const Reply reply = post(kWebhook);
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json list = json(reply)["alerts"];
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]["fingerprint"], "f1");
  EXPECT_EQ(list[0]["disposition"], "accepted");
  EXPECT_EQ(list[1]["status"], "resolved");
  ASSERT_EQ(service_.last_alerts.size(), 2u);
  EXPECT_EQ(service_.last_alerts[0].label("module"), "m");
  EXPECT_EQ(service_.last_alerts[0].summary, "S");
  EXPECT_TRUE(service_.last_alerts[0].firing());
  EXPECT_EQ(format_time(service_.last_alerts[1].started), "2025-12-31T23:00:00.000Z");
}

TEST_F(AlertsRoute, TheRollbackTokenOpensNothingElse) {
  EXPECT_EQ(post(kWebhook, "secret").status, 200);
  EXPECT_EQ(post(kWebhook, "wrong").status, 401);
  EXPECT_EQ(post(kWebhook, "").status, 401);
  const Client client{api_server_->address(), "rollback-only"};
  for (const Route& route : kRoutes) {
    if (route.listener != Listener::kApi || route.auth != Auth::kToken) continue;
    std::string path(route.pattern);
    if (const size_t open = path.find('{'); open != std::string::npos) path.replace(open, path.find('}') - open + 1, "x");
    EXPECT_EQ(client.send(std::string(route.method), path, route.method == "POST" ? "{}" : "").status, 401) << path;
  }
}

TEST_F(AlertsRoute, WhatIsNoWebhookIsRefused) {
  for (const char* bad : {"", "{", "[]", "null", "{}", R"({"alerts": {}})", R"({"version": "3", "alerts": []})", "\xff", R"({"alerts": [}]})"}) {
    EXPECT_EQ(problem_code(post(bad), 400), "invalid") << bad;
  }
  EXPECT_EQ(post(std::string(100'000, '[')).status, 400);
  std::string many = R"({"alerts": [1)";
  for (size_t i = 0; i < kMaxAlerts; ++i) many += ",1";
  EXPECT_EQ(post(many + "]}").status, 413);
  EXPECT_EQ(post(R"({"alerts": []})").status, 200);
}

TEST_F(AlertsRoute, OneBadAlertDoesNotLoseTheOthers) {
  const Reply reply = post(R"({"alerts": [7, {}, {"labels": {"a": 1}, "status": "firing", "startsAt": "2026-01-01T00:00:00Z"},
    {"labels": {}, "status": "burning", "startsAt": "2026-01-01T00:00:00Z"}, {"labels": {}, "status": "firing", "startsAt": "soon"},
    {"labels": {"alertname": "A"}, "status": "firing", "startsAt": "2026-01-01T00:00:00Z"}]})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json list = json(reply)["alerts"];
  ASSERT_EQ(list.size(), 6u);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(list[i]["disposition"], "invalid") << i;
  EXPECT_EQ(list[5]["disposition"], "accepted");
  EXPECT_TRUE(std::string(list[5]["fingerprint"]).starts_with("labels-"));
}

TEST_F(AlertsRoute, WhatCannotBeStoredIsToBeSentAgain) {
  service_.error = Error{ErrorCode::kKernel, 28, "no room", {}, {}};
  EXPECT_EQ(problem_code(post(kWebhook), 503), "unavailable");
}

TEST(ActiveAlerts, AreReadFromAlertmanagersOwnApi) {
  const auto found = parse_active_alerts(R"([{"fingerprint": "f", "startsAt": "2026-01-01T00:00:00Z", "status": {"state": "active"},
    "labels": {"alertname": "A"}, "receivers": [{"name": "r"}]}])");
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->size(), 1u);
  EXPECT_TRUE(found->front().firing());
  EXPECT_TRUE(found->front().fault.empty());
  EXPECT_FALSE(parse_active_alerts("<html>"));
  EXPECT_FALSE(parse_active_alerts("{}"));
}

}  // namespace
}  // namespace mapshift::http
