// SPDX-License-Identifier: Apache-2.0
#include "http/framing.h"

#include <charconv>

#include "http/problem.h"

namespace mapshift::http {
namespace {

std::optional<uint64_t> parse_length(std::string_view text) {
  uint64_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return length;
}

std::optional<Response> check(const Request& request) {
  for (std::string_view name : {"Content-Length", "Transfer-Encoding", "Host", "Authorization", "If-Match", "Idempotency-Key"})
    if (request.count_header(name) > 1)
      return problem(400, "duplicate-header", "The header " + std::string(name) + " occurs more than once; send it once.");
  const auto length = request.header("Content-Length");
  if (request.header("Transfer-Encoding"))
    return length ? problem(400, "ambiguous-length", "Content-Length and Transfer-Encoding exclude each other; send only Content-Length.")
                  : problem(411, "length-required", "Transfer-Encoding is not supported; send the body with Content-Length.");
  if (length && !parse_length(*length))
    return problem(400, "invalid-length", "Content-Length must be a decimal number.");
  if (const auto expect = request.header("Expect"); expect && !equal_ignoring_case(*expect, "100-continue"))
    return problem(417, "unknown-expectation", "Only the expectation 100-continue is supported.");
  return std::nullopt;
}

}  // namespace

Framing frame(const Request& request) {
  Framing framing;
  const auto length = request.header("Content-Length");
  if (length && request.count_header("Content-Length") == 1 && !request.header("Transfer-Encoding"))
    framing.body_length = parse_length(*length).value_or(0);
  framing.wants_continue = framing.body_length > 0 && request.header("Expect").has_value();
  framing.refusal = check(request);
  return framing;
}

}  // namespace mapshift::http
