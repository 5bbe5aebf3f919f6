// SPDX-License-Identifier: Apache-2.0
#include "http/routes.h"

#include <algorithm>
#include <optional>

#include "http/message.h"

namespace mapshift::http {
namespace {

constexpr size_t kMaxParameter = 128;

// Takes the segment up to the next '/' off `rest`, and the '/' with it; "/a/b" has the segments "", "a" and "b".
std::string_view next_segment(std::string_view& rest, bool& more) {
  const size_t slash = rest.find('/');
  const std::string_view segment = rest.substr(0, slash);
  more = slash != std::string_view::npos;
  rest.remove_prefix(more ? slash + 1 : rest.size());
  return segment;
}

// The parameter, empty when the pattern has none; none when the path is another one.
std::optional<std::string> fits(std::string_view pattern, std::string_view path) {
  std::string parameter;
  for (bool more_pattern = true, more_path = true; more_pattern;) {
    const std::string_view wanted = next_segment(pattern, more_pattern), found = next_segment(path, more_path);
    if (more_pattern != more_path) return std::nullopt;
    if (!wanted.starts_with('{')) {
      if (wanted != found) return std::nullopt;
      continue;
    }
    auto decoded = decode_segment(found);
    if (!decoded || decoded->empty() || decoded->size() > kMaxParameter) return std::nullopt;
    if (!parameter.empty()) parameter += '/';
    parameter += *decoded;
  }
  return parameter;
}

}  // namespace

Match match_route(Listener listener, std::string_view method, std::string_view path) {
  Match match;
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  for (const Route& route : kRoutes) {
    if (route.listener != listener) continue;
    auto parameter = fits(route.pattern, path);
    if (!parameter) continue;
    if (route.method == wanted) return {&route, std::move(*parameter), {}};
    match.allowed.emplace_back(route.method);
    if (route.method == "GET") match.allowed.emplace_back("HEAD");
  }
  std::sort(match.allowed.begin(), match.allowed.end());
  return match;
}

}  // namespace mapshift::http
