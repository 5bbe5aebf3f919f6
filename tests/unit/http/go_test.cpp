// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

namespace mapshift::http {
namespace {

class GoTest : public HttpTest {};

TEST_F(GoTest, ListsTheProcesses) {
  Json answer = json(api_.send("GET", "/api/v1/go"));
  EXPECT_EQ(answer["processes"], Json::array());
  EXPECT_EQ(answer["enabled"], true);
  observe::go::ProcessReport report;
  report.pid = 42;
  report.name = "app\xff";
  service_.go = {.enabled = true, .read_at = std::chrono::seconds(3), .dropped = 2, .processes = {report}};
  const Reply reply = api_.send("GET", "/api/v1/go");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Content-Type"), "application/json");
  answer = json(reply);
  ASSERT_EQ(answer["processes"].size(), 1u) << reply.body;
  EXPECT_EQ(answer["processes"][0]["pid"], 42);
  EXPECT_EQ(answer["processes"][0]["name"], "app\xEF\xBF\xBD");
  EXPECT_EQ(answer["dropped_processes"], 2);
  EXPECT_EQ(answer["read_at_ns"], 3'000'000'000);
}

TEST_F(GoTest, SaysWhyNothingIsCaptured) {
  service_.go = {.enabled = false, .reason = "go.enabled is false"};
  const Json answer = json(api_.send("GET", "/api/v1/go"));
  EXPECT_EQ(answer["enabled"], false);
  EXPECT_EQ(answer["reason"], "go.enabled is false");
  EXPECT_EQ(answer["processes"], Json::array());
}

TEST_F(GoTest, ShowsOne) {
  observe::go::ProcessReport report;
  report.pid = 42;
  report.goroutines = 7;
  service_.go.processes = {report};
  EXPECT_EQ(json(api_.send("GET", "/api/v1/go/42"))["goroutines"], 7);
  for (const char* path : {"/api/v1/go/43", "/api/v1/go/x", "/api/v1/go/-42", "/api/v1/go/42x", "/api/v1/go/99999999999999999999"})
    EXPECT_EQ(problem_code(api_.send("GET", path), 404), "not-found") << path;
  service_.error = Error{ErrorCode::kUnavailable, 0, "nothing is captured", {}, {}};
  EXPECT_EQ(api_.send("GET", "/api/v1/go/42").status, 503);
}

TEST_F(GoTest, NeedsTheToken) {
  const Client stranger{api_server_->address(), ""};
  EXPECT_EQ(stranger.send("GET", "/api/v1/go").status, 401);
  EXPECT_EQ(stranger.send("GET", "/api/v1/go/1").status, 401);
  EXPECT_EQ(api_.send("POST", "/api/v1/go", "{}").status, 405);
}

}  // namespace
}  // namespace mapshift::http
