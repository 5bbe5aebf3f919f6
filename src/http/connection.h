// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>

#include "http/message.h"

struct mg_connection;

namespace mapshift::http {

// One request's side of a civetweb connection, which belongs to the library and to the calling thread. Every read and
// write has a deadline over its whole length; civetweb's own starts again with each byte.
class Connection {
 public:
  static constexpr std::chrono::seconds kReadTime{10}, kWriteTime{10};

  explicit Connection(mg_connection* connection) : connection_(connection) {}

  [[nodiscard]] Request request() const;
  // The body of `length` bytes; sends "100 Continue" first where that is waited for. Errors: kTooLarge, kTimeout.
  [[nodiscard]] Result<std::string> read_body(uint64_t length, bool send_continue);
  void send(const Response& response, bool with_body);
  // Writes what the response's `stream` gives until its end, the client's, or the server's.
  void send_stream(const Response& response, const std::function<bool()>& stopping);
  // Reads what was not read of a body of `length` bytes, within limits: closing on unread data would reset the connection,
  // and the client would lose the response. A stranger gets little of our time.
  void drain(uint64_t length, bool trusted);
  // The last call. Without it civetweb 1.15 reads on to the end of the body that the client announced, however long.
  void close();

 private:
  [[nodiscard]] bool write(std::string_view text);
  mg_connection* connection_;
  uint64_t consumed_ = 0;
  bool broken_ = false;  // the client stopped sending: nothing more is waited for
};

}  // namespace mapshift::http
