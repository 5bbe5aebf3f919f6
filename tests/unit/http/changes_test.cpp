// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <thread>

#include "base/clock.h"
#include "fixture.h"
#include "http/change_feed.h"
#include "http/hex.h"

namespace mapshift::http {
namespace {

using observe::changes::Change;
using observe::changes::Op;
using observe::changes::Resync;
using observe::changes::Source;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

Change change(uint64_t seq) { return {seq, 5, 6, 7, 0xdeadbeef, Op::kUpdate, Source::kSyscall, {}, {}}; }

template <class Condition>
bool soon(Condition condition) {
  for (int i = 0; i < 800 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return condition();
}

class Changes : public HttpTest {
 protected:
  std::string get(const std::string& target, const std::string& more = "") const {
    return "GET " + target + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n" + more + "\r\n";
  }
  FakeMaps& maps() { return service_.fake_maps; }
  const std::string target_ = "/api/v1/changes?module=flowmeter&map=flows";
};

TEST(EventText, IsAnEventWithItsId) {
  EXPECT_EQ(event_text(change(41)),
            "event: change\nid: 41\ndata: {\"seq\":41,\"timestamp_ns\":5,\"pid\":6,\"op\":\"update\",\"key_hash\":3735928559,\"source\":\"syscall\"}\n\n");
  EXPECT_EQ(event_text(Resync{9, 2, "lost"}), "event: resync\nid: 9\ndata: {\"version\":9,\"lost\":2,\"reason\":\"lost\"}\n\n");
}

TEST(EventText, HasBytesOnlyWhereTheChangeHasThem) {
  Change with = change(1);
  with.key = {std::byte{0x0a}, std::byte{0xff}};
  EXPECT_THAT(event_text(with), HasSubstr("\"key\":\"0aff\"}"));
  with.value = {std::byte{1}};
  EXPECT_THAT(event_text(with), HasSubstr("\"key\":\"0aff\",\"value\":\"01\"}"));
}

TEST(Hex, ReadsWhatItWrites) {
  EXPECT_EQ(to_hex(*from_hex("00ff7A")), "00ff7a");
  EXPECT_FALSE(from_hex("0"));
  EXPECT_FALSE(from_hex("0g"));
  EXPECT_TRUE(from_hex("")->empty());
}

TEST_F(Changes, AreStreamedUntilTheMapIsNotWatchedAnyMore) {
  maps().tell(change(41));
  maps().tell(Resync{45, 3, "slow"});
  std::thread later([this] {
    soon([this] { return maps().open == 1; });
    maps().unwatch();
  });
  const Reply reply = api_.send("GET", target_);
  later.join();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Content-Type"), "text/event-stream");
  EXPECT_EQ(reply.header("ETag"), "\"40\"");
  EXPECT_EQ(reply.header("Content-Length"), "");
  EXPECT_THAT(reply.body, StartsWith("retry: 1000\n: watching\n\n" + event_text(change(41)) + event_text(Resync{45, 3, "slow"})));
  EXPECT_THAT(reply.body, testing::EndsWith(event_text(Resync{45, 0, "unwatched"})));
  EXPECT_EQ(maps().last_since, 40U);  // from the version that ETag names
  EXPECT_TRUE(soon([this] { return maps().open == 0; }));
}

TEST_F(Changes, GoOnAfterTheLastEventThatAClientGot) {
  maps().unwatch();
  EXPECT_EQ(api_.send("GET", target_ + "&since=7").status, 200);
  EXPECT_EQ(maps().last_since, 7U);
  EXPECT_EQ(api_.send("GET", target_ + "&since=7", "", {"Last-Event-ID: 12"}).status, 200);
  EXPECT_EQ(maps().last_since, 12U);  // a client that connects again asks with the URL of its first request
}

TEST_F(Changes, AreRefusedWithTheReason) {
  EXPECT_EQ(problem_code(api_.send("GET", target_ + "&since=x"), 400), "invalid-value");
  EXPECT_EQ(problem_code(api_.send("GET", target_ + "&since=-1"), 400), "invalid-value");
  EXPECT_EQ(problem_code(api_.send("GET", target_, "", {"Last-Event-ID: x"}), 400), "invalid-value");
  EXPECT_EQ(problem_code(api_.send("GET", "/api/v1/changes?map=flows"), 400), "missing-parameter");
  EXPECT_EQ(json(api_.send("GET", "/api/v1/changes"))["errors"].size(), 2U);
  EXPECT_EQ(problem_code(api_.send("GET", "/api/v1/changes?module=no&map=flows"), 404), "not-found");
  EXPECT_EQ(problem_code(api_.send("GET", "/api/v1/changes?module=flowmeter&map=other"), 409), "conflict");
  EXPECT_EQ(api_.send("POST", target_).status, 405);
  EXPECT_EQ((Client{api_server_->address(), "wrong"}.send("GET", target_).status), 401);
  EXPECT_EQ(maps().open, 0);
}

TEST_F(Changes, AreNotStreamedToHead) {
  const Reply reply = api_.send("HEAD", target_);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("Content-Type"), "text/event-stream");
  EXPECT_EQ(reply.body, "");
  EXPECT_TRUE(soon([this] { return maps().open == 0; }));
}

TEST_F(Changes, EndForAClientThatVanished) {
  {
    RawClient client(api_server_->address());
    ASSERT_TRUE(client.write(get(target_)));
    ASSERT_TRUE(soon([this] { return maps().open == 1; }));
  }
  EXPECT_TRUE(soon([this] { return maps().open == 0; }));  // noticed by the second heartbeat
}

TEST_F(Changes, EndForAClientThatDoesNotRead) {
  RawClient client(api_server_->address());
  ASSERT_TRUE(client.write(get(target_)));
  ASSERT_TRUE(soon([this] { return maps().open == 1; }));
  Change large = change(1);
  large.key.resize(512);
  large.value.resize(4096);
  for (uint64_t i = 0; i < 2000; ++i) maps().tell(large);  // 18 MB: more than sockets hold
  EXPECT_TRUE(soon([this] { return maps().open == 0; }));
  EXPECT_EQ(api_.send("GET", "/api/v1/modules").status, 200);
}

TEST_F(Changes, EndWhenTheServerStops) {
  std::vector<RawClient> clients;
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back(api_server_->address());
    ASSERT_TRUE(clients.back().write(get(target_)));
  }
  ASSERT_TRUE(soon([this] { return maps().open == 20; }));
  const Nanos begun = monotonic_now();
  api_server_->stop();
  EXPECT_LT(monotonic_now() - begun, std::chrono::seconds(4));
  EXPECT_EQ(maps().open, 0);
}

TEST_F(Changes, LeaveThreadsForOrdinaryRequests) {
  api_server_ = std::move(*Server::start({"127.0.0.1:0", App::kMaxStreams + App::kOrdinaryThreads},
                                         [this](Request& request) { return app_.handle(Listener::kApi, request); }));
  api_.address = api_server_->address();
  std::vector<RawClient> clients;
  for (int i = 0; i < App::kMaxStreams; ++i) {
    clients.emplace_back(api_server_->address());
    ASSERT_TRUE(clients.back().write(get(target_)));
    ASSERT_TRUE(soon([&] { return maps().open > i; }));
  }
  const Reply refused = api_.send("GET", target_);
  EXPECT_EQ(problem_code(refused, 503), "unavailable");
  EXPECT_NE(refused.header("Retry-After"), "");
  EXPECT_EQ(api_.send("GET", "/api/v1/modules").status, 200);
  clients.clear();
  EXPECT_TRUE(soon([this] { return maps().open == 0; }));
  maps().unwatch();
  EXPECT_EQ(api_.send("GET", target_).status, 200);
}

TEST_F(Changes, RecordsOfARingAreStreamedAsTheirTypeReadsThem) {
  const Reply reply = api_.send("GET", "/api/v1/changes?module=flowmeter&map=events");
  EXPECT_EQ(reply.header("ETag"), "\"3\"");
  EXPECT_THAT(reply.body, HasSubstr("event: record\nid: 4\ndata: {\"seq\":4,\"timestamp_ns\":9,\"source\":\"ring\",\"record\":"
                                    "{\"kind\":\"OPEN\",\"number\":18446744073709551615,\"more\":[-1,true,null]}}\n\n"));
  EXPECT_EQ(maps().last_since, 3U);
}

TEST_F(Changes, MapsAreShownWithTheirVersion) {
  const std::string target = "/api/v1/maps/flowmeter/flows";
  maps().contents.entries = {{*from_hex("01"), *from_hex("0203")}};
  Reply reply = api_.send("GET", target);
  EXPECT_EQ(reply.header("ETag"), "\"40\"");
  EXPECT_EQ(json(reply)["version"], 40);
  EXPECT_EQ(json(reply)["source"], "syscall");
  EXPECT_FALSE(json(reply).contains("entries")) << "keys may not leave";
  maps().contents.keys = true;
  EXPECT_EQ(json(api_.send("GET", target))["entries"], Json::parse(R"([{"key": "01"}])"));
  maps().contents.values = true;
  EXPECT_EQ(json(api_.send("GET", target))["entries"], Json::parse(R"([{"key": "01", "value": "0203"}])"));
  EXPECT_EQ(api_.send("GET", "/api/v1/maps/no/flows").status, 404);
  EXPECT_EQ(api_.send("GET", "/api/v1/maps/flowmeter/other").status, 409);
  EXPECT_EQ(api_.send("GET", "/api/v1/maps/flowmeter").status, 404);
  EXPECT_EQ(api_.send("DELETE", target).header("Allow"), "GET, HEAD, PUT");
}

TEST_F(Changes, MapsAreReplacedWhenTheVersionStillHolds) {
  const std::string target = "/api/v1/maps/flowmeter/flows", body = R"({"entries": [{"key": "0a", "value": "0b"}]})";
  EXPECT_EQ(problem_code(api_.send("PUT", target, body), 428), "precondition-required");
  EXPECT_EQ(problem_code(api_.send("PUT", target, body, {"If-Match: 40"}), 400), "invalid-value");
  EXPECT_EQ(problem_code(api_.send("PUT", target, body, {"If-Match: \"39\""}), 412), "stale");
  const Reply done = api_.send("PUT", target, body, {"If-Match: \"40\""});
  EXPECT_EQ(done.status, 200) << done.body;
  EXPECT_EQ(done.header("ETag"), "\"41\"");
  ASSERT_EQ(maps().contents.entries.size(), 1U);
  EXPECT_EQ(maps().contents.entries[0].key, *from_hex("0a"));
  maps().refusal = Error{ErrorCode::kRefused, 0, "not such a map", {}, {}};
  EXPECT_EQ(api_.send("PUT", target, body, {"If-Match: \"41\""}).status, 422);
}

TEST_F(Changes, EntriesThatCannotBeReadAreAllNamed) {
  const std::string target = "/api/v1/maps/flowmeter/flows";
  const auto put = [&](const std::string& body) { return api_.send("PUT", target, body, {"If-Match: \"40\""}); };
  EXPECT_EQ(put("{").status, 400);
  EXPECT_EQ(problem_code(put("{}"), 400), "missing-member");
  EXPECT_EQ(problem_code(put(R"({"entries": 1})"), 400), "wrong-type");
  const Reply many = put(R"({"entries": [1, {"key": "0x", "value": "00"}, {"key": "00"}, {"key": "00", "value": "0", "more": 1}]})");
  EXPECT_EQ(json(many)["errors"].size(), 5U) << many.body;
  EXPECT_EQ(put(std::string(kMaxBody + 1, ' ')).status, 413);
  EXPECT_EQ(maps().contents.version, 40U);
}

}  // namespace
}  // namespace mapshift::http
