// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "cli/exit_status.h"
#include "cli/transport.h"

namespace mapshift::cli {

using Json = nlohmann::ordered_json;

// What went wrong, as the document that --output json prints (RFC 9457), and the exit status it leads to.
struct Failure {
  ExitStatus status = kFailed;
  Json document;
};
template <class T>
using Answer = tl::expected<T, Failure>;

[[nodiscard]] Failure to_failure(const Error& error);

// The agent's API: JSON in, JSON out; an answer that is not 2xx is a Failure.
class Agent {
 public:
  explicit Agent(Transport& transport) : transport_(transport) {}
  [[nodiscard]] Answer<Json> get(const std::string& path, std::chrono::seconds timeout = std::chrono::seconds(30));
  [[nodiscard]] Answer<Json> post(const std::string& path, const Json& body, std::vector<std::string> headers = {});
  [[nodiscard]] Answer<Json> remove(const std::string& path);

 private:
  [[nodiscard]] Answer<Json> send(const Request& request);
  Transport& transport_;
};

[[nodiscard]] Failure refused_by_agent(const Response& response, Json document);

// Percent-encodes one segment of a path.
[[nodiscard]] std::string encode(const std::string& segment);

}  // namespace mapshift::cli
