// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "http/message.h"

namespace mapshift::http {

struct ServerOptions {
  std::string listen = "127.0.0.1:0";  // "HOST:PORT", IPv4 or localhost; port 0 takes a free one
  int threads = 8;                     // at least 8: slow clients hold one each, for seconds
  std::function<void(int status)> refused = {};  // called for each request that never reaches the handler
};

// One listener with its threads. Requests that are not proper HTTP are answered here; all others by the handler, which may
// be called by every thread at once.
class Server {
 public:
  using Handler = std::function<Response(Request&)>;

  // Errors: kInvalid for an address that cannot be meant, kUnavailable when it cannot be listened on. Both name it.
  [[nodiscard]] static Result<std::unique_ptr<Server>> start(const ServerOptions& options, Handler handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] const std::string& address() const;  // "127.0.0.1:9848", with the port that was taken
  // Lets the requests that are being served end, then closes. Idempotent; not to be called by a handler.
  void stop();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mapshift::http
