// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <cstdlib>
#include <random>
#include <thread>

#include "base/clock.h"
#include "fixture.h"

namespace mapshift::http {
namespace {

using testing::HasSubstr;
using Hostile = HttpTest;

const std::string kHead = "POST /api/v1/plans HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer secret\r\n";

Reply raw(const std::string& address, const std::string& bytes) {
  RawClient client(address);
  client.write(bytes);
  return client.reply();
}

TEST_F(Hostile, LimitsTheBody) {
  const std::string padding(kMaxBody - body_.size(), ' ');
  EXPECT_EQ(api_.send("POST", "/api/v1/plans", body_ + padding).status, 200);
  EXPECT_EQ(problem_code(api_.send("POST", "/api/v1/plans", body_ + padding + " "), 413), "too-large");
  EXPECT_EQ(api_.send("POST", "/api/v1/plans", std::string(8 * kMaxBody, 'x')).status, 413);
  EXPECT_EQ(raw(api_.address, kHead + "Content-Length: 999999999999\r\nExpect: 100-continue\r\n\r\n").status, 413);
  EXPECT_THAT(metrics_client_.send("GET", "/metrics").body, HasSubstr("{code=\"413\",handler=\"plan\"} 3"));
}

TEST_F(Hostile, AStrangerGetsAnAnswerWithoutSendingTheBody) {
  const Client stranger{api_.address, "wrong"};
  EXPECT_EQ(stranger.send("POST", "/api/v1/plans", std::string(60'000, 'x')).status, 401);
  const Nanos begun = monotonic_now();
  RawClient silent(api_.address);
  silent.write("POST /api/v1/plans HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n");
  EXPECT_EQ(silent.reply().status, 401);
  EXPECT_LT(monotonic_now() - begun, std::chrono::seconds(5));
}

TEST_F(Hostile, RefusesAmbiguousLengths) {
  EXPECT_EQ(problem_code(raw(api_.address, kHead + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}"), 400), "ambiguous-length");
  EXPECT_EQ(problem_code(raw(api_.address, kHead + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), 411), "length-required");
  EXPECT_EQ(raw(api_.address, kHead + "Transfer-Encoding: identity\r\n\r\n").status, 411);
  EXPECT_EQ(raw(api_.address, kHead + "Transfer-Encoding: gzip, chunked\r\n\r\n").status, 400);
  EXPECT_EQ(problem_code(raw(api_.address, kHead + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), 400), "duplicate-header");
  for (const char* length : {"2x", "+2", "0x2", "2,2", "99999999999999999999999"})
    EXPECT_EQ(raw(api_.address, kHead + "Content-Length: " + length + "\r\n\r\n{}").status, 400) << length;
  for (const char* length : {"-2", "x"}) {
    const int status = raw(api_.address, kHead + "Content-Length: " + length + "\r\n\r\n{}").status;
    EXPECT_TRUE(status == 400 || status == 411) << length << " " << status;
  }
  EXPECT_EQ(raw(api_.address, kHead + "Content-Length: 2\r\nExpect: miracles\r\n\r\n{}").status, 417);
  EXPECT_EQ(raw(api_.address, kHead + "Authorization: Bearer other\r\n\r\n").status, 400);
  EXPECT_FALSE(service_.last_manifest);
  EXPECT_THAT(metrics_client_.send("GET", "/metrics").body, HasSubstr("{code=\"417\",handler=\"malformed\"} 1"));
}

TEST_F(Hostile, ContinuesWhenAsked) {
  RawClient client(api_.address);
  client.write(kHead + "Content-Length: " + std::to_string(body_.size()) + "\r\nExpect: 100-continue\r\n\r\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  client.write(body_);
  const std::string text = client.read_all();
  EXPECT_TRUE(text.starts_with("HTTP/1.1 100 Continue\r\n\r\n"));
  EXPECT_EQ(parse_reply(text).status, 200);
}

TEST_F(Hostile, RefusesBrokenHeads) {
  EXPECT_EQ(problem_code(raw(api_.address, "nonsense\r\n\r\n"), 400), "bad-request");
  EXPECT_EQ(raw(api_.address, "GET / HTTP/3.0\r\n\r\n").status, 505);
  EXPECT_GE(raw(api_.address, "GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\n\r\n").status, 400);
  std::string many = "GET /api/v1/modules HTTP/1.1\r\n";
  for (int i = 0; i < 100; ++i) many += "X-" + std::to_string(i) + ": 1\r\n";
  EXPECT_GE(raw(api_.address, many + "\r\n").status, 400);
  EXPECT_EQ(api_.send("GET", "/api/v1/modules").status, 200);
}

TEST_F(Hostile, ABodyThatStopsHalfwayTimesOut) {
  RawClient client(api_.address);
  client.write(kHead + "Content-Length: 100\r\n\r\n{\"manif");
  EXPECT_EQ(problem_code(client.reply(), 408), "incomplete-body");
}

TEST_F(Hostile, SlowClientsDoNotBlockOthers) {
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int i = 0; i < 6; ++i) {
    slow.push_back(std::make_unique<RawClient>(metrics_client_.address));
    slow.back()->write("GET /metrics HT");
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const Nanos begun = monotonic_now();
  EXPECT_EQ(metrics_client_.send("GET", "/metrics").status, 200);
  EXPECT_LT(monotonic_now() - begun, std::chrono::seconds(1));
}

TEST_F(Hostile, ClientsThatHangUpDoNoHarm) {
  for (int i = 0; i < 50; ++i) {
    RawClient client(metrics_client_.address);
    client.write(i % 2 == 0 ? "GET /metrics HTTP/1.1\r\n\r\n" : "GET /metr");
  }
  EXPECT_EQ(metrics_client_.send("GET", "/metrics").status, 200);
}

TEST_F(Hostile, AFailureOfAHandlerIsAnAnswer) {
  auto server = Server::start({}, [](Request&) -> Response { throw std::runtime_error("broken"); });
  ASSERT_TRUE(server);
  const Reply reply = Client{(*server)->address(), ""}.send("GET", "/");
  EXPECT_EQ(problem_code(reply, 500), "internal");
}

// Random bytes, and requests with random damage: the server must answer or close, and live.
TEST_F(Hostile, SurvivesRandomBytes) {
  const char* given = std::getenv("MAPSHIFT_SEED");
  const unsigned seed = given != nullptr ? static_cast<unsigned>(std::atoi(given)) : std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("MAPSHIFT_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&](size_t limit) { return std::uniform_int_distribution<size_t>(0, limit - 1)(random); };
  const std::string good = kHead + "If-Match: \"1\"\r\nContent-Length: " + std::to_string(body_.size()) + "\r\n\r\n" + body_;
  int answered = 0;
  for (int i = 0; i < 300; ++i) {
    std::string bytes = good;
    if (i % 3 == 0) {
      bytes.resize(below(400));
      for (char& c : bytes) c = static_cast<char>(below(256));
    }
    for (size_t damage = below(6); damage > 0 && !bytes.empty(); --damage) {
      const size_t at = below(bytes.size());
      if (below(3) == 0) bytes.erase(at, below(20));
      else if (below(2) == 0) bytes.insert(at, bytes.substr(below(bytes.size()), below(40)));
      else bytes[at] = static_cast<char>(below(256));
    }
    RawClient client(api_.address);
    client.write(bytes);
    client.end_of_writing();
    const std::string answer = client.read_all();
    EXPECT_TRUE(answer.empty() || answer.starts_with("HTTP/1.1 ")) << answer;
    answered += !answer.empty();
  }
  EXPECT_GT(answered, 150);
  EXPECT_EQ(api_.send("GET", "/api/v1/modules").status, 200);
}

}  // namespace
}  // namespace mapshift::http
