// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "base/fd.h"
#include "http/message.h"

namespace mapshift::http {

struct Reply {
  int status = 0;  // 0: no response came
  Headers headers = {};
  std::string body = {};
  [[nodiscard]] std::string header(std::string_view name) const;
};

// A socket to a server under test, on which a test writes whatever bytes it likes. Reads give up after 10 s.
class RawClient {
 public:
  explicit RawClient(const std::string& address);
  bool write(std::string_view bytes);
  void end_of_writing();
  [[nodiscard]] std::string read_all();  // until the server closes
  [[nodiscard]] Reply reply();

 private:
  Fd fd_;
};

[[nodiscard]] Reply parse_reply(const std::string& text);

struct Client {
  std::string address;
  std::string token = "secret";
  [[nodiscard]] Reply send(const std::string& method, const std::string& target, const std::string& body = {},
                           const std::vector<std::string>& headers = {}) const;
};

}  // namespace mapshift::http
