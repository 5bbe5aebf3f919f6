// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mapshift::cli {

struct Request {
  std::string method;  // GET, POST, DELETE
  std::string path;    // "/api/v1/modules"
  std::string body = {};
  std::vector<std::string> headers = {};  // "If-Match: \"1\""
  std::chrono::seconds timeout = std::chrono::seconds(30);
};

struct Response {
  int status = 0;
  std::string body;
};

// What happens with an answer that has no end.
struct StreamReader {
  std::function<void(const std::string& etag)> started;  // before the first piece: the answer is 2xx
  std::function<bool(std::string_view)> piece;           // false: enough
};

// How requests reach the agent. kUnavailable when no answer came.
class Transport {
 public:
  virtual ~Transport() = default;
  [[nodiscard]] virtual Result<Response> send(const Request& request) = 0;
  // The body of a 2xx answer goes to `reader` as it comes, until it ends, or breaks off; of another one it is in the Response.
  // kUnavailable when no answer came at all.
  [[nodiscard]] virtual Result<Response> stream(const Request& request, const StreamReader& reader) = 0;
};

struct AgentAddress {
  std::string run_dir;
  std::string agent;       // empty: from run_dir/agent.json, read again for each request, for a restarted agent may have moved
  std::string token_file;  // empty: run_dir/token
};

[[nodiscard]] std::unique_ptr<Transport> make_http_transport(AgentAddress address);

}  // namespace mapshift::cli
