// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "fixture.h"

namespace mapshift::http {
namespace {

using Adopt = HttpTest;
constexpr const char* kPath = "/api/v1/modules/meter/adopt";

TEST_F(Adopt, LinksBecomeAModule) {
  const Reply reply = api_.send("POST", kPath, R"({"links": [17, 18], "program": 93})");
  EXPECT_EQ(reply.status, 201) << reply.body;
  EXPECT_EQ(reply.header("Location"), "/api/v1/modules/meter");
  EXPECT_EQ(service_.last_adoption->name, "meter");
  EXPECT_THAT(service_.last_adoption->links, testing::ElementsAre(17, 18));
  EXPECT_EQ(service_.last_adoption->program, 93u);
  EXPECT_FALSE(service_.last_adoption->manifest);
}

TEST_F(Adopt, ManifestOfWhatRunsGoesAlong) {
  EXPECT_EQ(api_.send("POST", kPath, R"({"links": [17], "manifest": "/m/meter.json", "set": {"IFACE": "eth1"}})").status, 201);
  EXPECT_TRUE(service_.last_adoption->manifest);
}

TEST_F(Adopt, MalformedIdsAreRefused) {
  for (const char* body : {"{}", R"({"links": []})", R"({"links": 17})", R"({"links": ["17"]})", R"({"links": [0]})", R"({"links": [-1]})",
                           R"({"links": [4294967296]})", R"({"links": [1.5]})", R"({"links": [17], "program": "x"})", R"({"links": [17], "dir": "/m"})",
                           R"({"links": [17], "more": 1})"}) {
    EXPECT_EQ(api_.send("POST", kPath, body).status, 400) << body;
  }
  EXPECT_FALSE(service_.last_adoption);
}

TEST_F(Adopt, RefusalsKeepTheirWords) {
  service_.error = Error{ErrorCode::kUnsupported, 0, "link 17 cannot be adopted", {}, {}};
  const Reply reply = api_.send("POST", kPath, R"({"links": [17]})");
  EXPECT_EQ(reply.status, 422);
  EXPECT_EQ(json(reply)["detail"], "link 17 cannot be adopted");
}

}  // namespace
}  // namespace mapshift::http
