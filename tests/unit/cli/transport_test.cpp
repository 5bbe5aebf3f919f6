// SPDX-License-Identifier: Apache-2.0
#include "cli/transport.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/fd.h"

namespace mapshift::cli {
namespace {

using ::testing::HasSubstr;

// Accepts one connection on loopback, keeps the request's head and answers.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(socket_.get(), 1) != 0) std::abort();
    getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, text = std::move(answer)] {
      const Fd peer(accept(socket_.get(), nullptr, nullptr));
      char buffer[4096];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t got = recv(peer.get(), buffer, sizeof buffer, 0);
        if (got <= 0) return;
        request.append(buffer, static_cast<size_t>(got));
      }
      static_cast<void>(send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL));
    });
  }
  ~OneAnswer() { join(); }
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string request;

 private:
  Fd socket_;
  uint16_t port_ = 0;
  std::thread thread_;
};

class TransportTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(dir_); }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(dir_ / name) << text; }
  std::filesystem::path dir_ = std::filesystem::temp_directory_path() / ("mapshift-cli-" + std::to_string(::getpid()));
};

TEST_F(TransportTest, ReadsAddressAndTokenFromTheRunDirectory) {
  OneAnswer server("HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
  write("agent.json", R"({"pid": 1, "metrics": "127.0.0.1:1", "api": ")" + server.address() + "\"}");
  write("token", "s3cret\n");
  const auto response = make_http_transport({dir_.string(), "", ""})
                            ->send({.method = "POST", .path = "/api/v1/modules", .headers = {"If-Match: \"1\""}});
  server.join();
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 201);
  EXPECT_EQ(response->body, "{}");
  for (const char* part : {"POST /api/v1/modules HTTP/1.1\r\n", "Authorization: Bearer s3cret\r\n", "User-Agent: mapshift-cli/",
                           "If-Match: \"1\"\r\n", "Content-Type: application/json\r\n"}) {
    EXPECT_THAT(server.request, HasSubstr(part));
  }
}

TEST_F(TransportTest, SaysWhatToDoWhenNobodyAnswers) {
  const auto message = [this](const std::string& agent) {
    const auto response = make_http_transport({dir_.string(), agent, ""})->send({.method = "GET", .path = "/"});
    EXPECT_FALSE(response);
    EXPECT_EQ(response.error().code, ErrorCode::kUnavailable);
    return response.error().message;
  };
  EXPECT_THAT(message(""), HasSubstr("agent.json: no such file; is the agent running?"));
  write("agent.json", "garbage");
  EXPECT_THAT(message(""), HasSubstr("not the file of an agent"));
  write("agent.json", R"({"api": "127.0.0.1:1"})");
  EXPECT_THAT(message(""), HasSubstr("seems to have stopped"));
  EXPECT_THAT(message("127.0.0.1:1"), HasSubstr("check --agent"));
  EXPECT_THAT(message("a b"), HasSubstr("not an address"));
  EXPECT_THAT(message("file:///etc"), HasSubstr("no answer"));
}

}  // namespace
}  // namespace mapshift::cli
