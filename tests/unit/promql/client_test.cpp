// SPDX-License-Identifier: Apache-2.0
// Against a server on loopback that says whatever a test wants.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "promql/client.h"

namespace mapshift::promql {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Answers one connection with `answer`, after `delay`; keeps what was asked.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer, std::chrono::milliseconds delay = 0ms) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::listen(socket_, 4), 0);
    EXPECT_EQ(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, answer = std::move(answer), delay] { serve(answer, delay); });
  }
  ~OneAnswer() {
    ::shutdown(socket_, SHUT_RDWR);
    join();
    ::close(socket_);
  }
  OneAnswer(const OneAnswer&) = delete;
  OneAnswer& operator=(const OneAnswer&) = delete;

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/"; }
  // After the answer was given.
  const std::string& request() {
    join();
    return request_;
  }

 private:
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  void serve(const std::string& answer, std::chrono::milliseconds delay) {
    const int client = ::accept(socket_, nullptr, nullptr);
    if (client < 0) return;
    char buffer[4096];
    const ssize_t got = ::recv(client, buffer, sizeof buffer, 0);
    if (got > 0) request_.assign(buffer, static_cast<size_t>(got));
    std::this_thread::sleep_for(delay);
    (void)::send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
    ::close(client);
  }

  int socket_;
  uint16_t port_ = 0;
  std::string request_;
  std::thread thread_;
};

std::string http(const std::string& body, const std::string& status = "200 OK") {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
}

TEST(PromqlClient, AsksAndReads) {
  OneAnswer server(http(R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"7"]}]}})"));
  const auto value = Client(server.url()).query("sum(rate(x{a=\"b\"}[1m])) + 1");
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(**value, 7);
  EXPECT_THAT(server.request(), StartsWith("GET /api/v1/query?query=sum%28rate%28x%7Ba%3D%22b%22%7D%5B1m%5D%29%29%20%2B%201&timeout=1.800 "));
}

TEST(PromqlClient, NobodyThereIsUnavailableAndNamesTheAddress) {
  std::string url;
  {
    const OneAnswer gone("");
    url = gone.url();
  }
  const auto value = Client(url).query("up");
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(value.error().message, StartsWith("Prometheus at http://127.0.0.1:"));
}

TEST(PromqlClient, ASlowServerTimesOut) {
  const OneAnswer server(http("{}"), 600ms);
  const auto began = std::chrono::steady_clock::now();
  const auto value = Client(server.url(), {100ms, 1000}).query("up");
  EXPECT_LT(std::chrono::steady_clock::now() - began, 500ms);
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, ErrorCode::kTimeout);
  EXPECT_THAT(value.error().message, HasSubstr("no answer within 100 ms"));
}

TEST(PromqlClient, AnAnswerThatIsTooLargeIsCutOff) {
  const OneAnswer server(http(std::string(5000, ' ')));
  const auto value = Client(server.url(), {2s, 1000}).query("up");
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, ErrorCode::kTooLarge);
}

TEST(PromqlClient, RedirectsAreNotFollowed) {
  const OneAnswer server("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
  const auto value = Client(server.url()).query("up");
  ASSERT_FALSE(value);
  EXPECT_THAT(value.error().message, HasSubstr("HTTP status 302"));
}

TEST(PromqlClient, ServersThatSpeakNoHttpOrHangUp) {
  for (const char* answer : {"", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"}) {
    const OneAnswer server(answer);
    EXPECT_FALSE(Client(server.url(), {500ms, 1000}).query("up")) << answer;
  }
}

}  // namespace
}  // namespace mapshift::promql
