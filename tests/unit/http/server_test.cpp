// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <gmock/gmock.h>

#include <future>
#include <thread>

#include "base/clock.h"
#include "fixture.h"
#include "http/address.h"
#include "http/idempotency.h"

namespace mapshift::http {
namespace {

using testing::HasSubstr;
using LongPoll = HttpTest;

template <class Condition>
bool soon(Condition condition) {
  for (int i = 0; i < 500 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return condition();
}

TEST(Server, NamesTheAddressThatItCannotListenOn) {
  const auto first = Server::start({}, [](Request&) { return Response{}; });
  ASSERT_TRUE(first);
  const auto second = Server::start({(*first)->address()}, [](Request&) { return Response{}; });
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(second.error().message, HasSubstr((*first)->address()));
  EXPECT_THAT(second.error().message, HasSubstr("in use"));
  const auto foreign = Server::start({"192.0.2.1:0"}, [](Request&) { return Response{}; });
  ASSERT_FALSE(foreign);
  EXPECT_THAT(foreign.error().message, HasSubstr("192.0.2.1"));
}

TEST(Server, RefusesAddressesThatItCannotServe) {
  for (const char* bad : {"", "9847", "127.0.0.1", "127.0.0.1:", "127.0.0.1:9847s", "127.0.0.1:99999", "[::1]:80", "example.org:80",
                          "127.0.0.1:80,127.0.0.1:81", "127.0.0.1:-1", "127.0.0.1:80 "}) {
    SCOPED_TRACE(bad);
    const auto server = Server::start({bad}, [](Request&) { return Response{}; });
    ASSERT_FALSE(server);
    EXPECT_EQ(server.error().code, ErrorCode::kInvalid);
  }
  EXPECT_EQ(to_string(*parse_address("localhost:80")), "127.0.0.1:80");
}

TEST(Server, StopsSoonAndLeavesThePortFree) {
  std::string address;
  for (int i = 0; i < 3; ++i) {
    auto server = Server::start({i == 0 ? "127.0.0.1:0" : address}, [](Request&) { return Response{}; });
    ASSERT_TRUE(server) << server.error().message;
    address = (*server)->address();
    EXPECT_EQ(Client{address}.send("GET", "/").status, 200);
    const Nanos begun = monotonic_now();
    (*server)->stop();
    (*server)->stop();
    EXPECT_LT(monotonic_now() - begun, std::chrono::seconds(1));
  }
}

TEST_F(LongPoll, AnswersWithTheNextRevision) {
  (void)api_.send("POST", "/api/v1/updates", body_);
  const auto begun = monotonic_now();
  EXPECT_EQ(json(api_.send("GET", "/api/v1/updates/u-1?since=0&wait=30s"))["revision"], 1);
  EXPECT_EQ(json(api_.send("GET", "/api/v1/updates/u-1?since=1"))["revision"], 1);
  EXPECT_LT(monotonic_now() - begun, std::chrono::seconds(1));
  auto waiting = std::async(std::launch::async, [this] { return api_.send("GET", "/api/v1/updates/u-1?since=1&wait=30s"); });
  ASSERT_TRUE(soon([this] { return service_.waiting == 1; }));
  service_.revise("u-1");
  EXPECT_EQ(json(waiting.get())["revision"], 2);
  EXPECT_LT(monotonic_now() - begun, std::chrono::seconds(3));
}

TEST_F(LongPoll, GivesUpAfterTheWait) {
  (void)api_.send("POST", "/api/v1/updates", body_);
  const auto begun = monotonic_now();
  EXPECT_EQ(json(api_.send("GET", "/api/v1/updates/u-1?since=1&wait=500ms"))["revision"], 1);
  EXPECT_GE(monotonic_now() - begun, std::chrono::milliseconds(490));
  EXPECT_LT(monotonic_now() - begun, std::chrono::seconds(2));
}

TEST_F(LongPoll, RefusesBadParameters) {
  (void)api_.send("POST", "/api/v1/updates", body_);
  for (const char* bad : {"since=x", "since=-1", "since=", "since=99999999999999999999", "since=%zz", "wait=x", "wait=-1s", "wait=", "wait=%"})
    (void)problem_code(api_.send("GET", std::string("/api/v1/updates/u-1?") + bad), 400);
  EXPECT_EQ(json(api_.send("GET", "/api/v1/updates/u-1?since=x&wait=y"))["errors"].size(), 2U);
  (void)problem_code(api_.send("GET", "/api/v1/updates/u-9?since=1&wait=30s"), 404);
}

TEST_F(LongPoll, ManyWaitersLeaveRoomForOthersAndForTheStop) {
  (void)api_.send("POST", "/api/v1/updates", body_);
  std::vector<std::future<Reply>> waiting;
  for (int i = 0; i < App::kMaxWaiters; ++i)
    waiting.push_back(std::async(std::launch::async, [this] { return api_.send("GET", "/api/v1/updates/u-1?since=1&wait=60s"); }));
  ASSERT_TRUE(soon([this] { return service_.waiting == App::kMaxWaiters; }));
  auto begun = monotonic_now();
  EXPECT_EQ(json(api_.send("GET", "/api/v1/updates/u-1?since=1&wait=60s"))["revision"], 1) << "one more is answered at once";
  EXPECT_EQ(api_.send("GET", "/api/v1/modules").status, 200);
  EXPECT_LT(monotonic_now() - begun, std::chrono::seconds(1));
  begun = monotonic_now();
  api_server_->stop();
  EXPECT_LT(monotonic_now() - begun, std::chrono::seconds(1));
  for (auto& one : waiting) EXPECT_EQ(one.get().status, 200) << "who waits gets the present record";
}

TEST_F(LongPoll, ServesManyClientsAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const std::string key = "Idempotency-Key: " + std::to_string(i);
        const Reply reply = t % 2 == 0 ? api_.send("POST", "/api/v1/updates", body_, {key}) : metrics_client_.send("GET", "/metrics");
        good += reply.status == 200 || reply.status == 202 || reply.status == 409;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 160);
  EXPECT_EQ(service_.records.size(), 20u) << "one update for each key";
}

TEST(Idempotency, KeepsTheNewestKeysOnly) {
  Idempotency keys;
  for (size_t i = 0; i <= Idempotency::kMaxKeys; ++i) {
    const std::string key = std::to_string(i);
    ASSERT_EQ(keys.begin(key, "b").verdict, Idempotency::Verdict::kNew);
    EXPECT_EQ(keys.begin(key, "b").verdict, Idempotency::Verdict::kRunning);
    keys.finish(key, "u-" + key);
  }
  EXPECT_EQ(keys.begin("1", "b").update_id, "u-1");
  EXPECT_EQ(keys.begin("1", "c").verdict, Idempotency::Verdict::kMismatch);
  EXPECT_EQ(keys.begin("0", "b").verdict, Idempotency::Verdict::kNew) << "the oldest one was dropped";
}

}  // namespace
}  // namespace mapshift::http
