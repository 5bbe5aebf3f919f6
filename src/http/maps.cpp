// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <memory>

#include "http/app.h"
#include "http/change_feed.h"
#include "http/entries_body.h"
#include "http/problem.h"

namespace mapshift::http {
namespace {

Error invalid(std::string where, std::string message) {
  return {ErrorCode::kInvalid, 0, message, {}, {{"invalid-value", std::move(where), message}}};
}

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "MODULE/MAP", as match_route() joins them.
MapName name_of(const std::string& parameter) {
  const size_t slash = parameter.find('/');
  return {parameter.substr(0, slash), parameter.substr(slash + 1)};
}

std::string entity_tag(uint64_t version) {
  std::string tag(1, '"');
  tag += std::to_string(version);
  tag += '"';
  return tag;
}

Response stream_response(uint64_t version, std::shared_ptr<ChangeFeed> feed, std::shared_ptr<void> place) {
  Response response{200, "text/event-stream", {}, {{"ETag", entity_tag(version)}, {"X-Accel-Buffering", "no"}}};
  response.stream = [place = std::move(place), feed = std::move(feed)] { return feed->next(); };
  return response;
}

// Where a client goes on: what it got last (it connects again with the URL of its first request), else what it asked for.
Result<std::optional<uint64_t>> read_since(const Request& request) {
  const auto last = request.header("Last-Event-ID");
  if (last && !last->empty()) {
    const auto number = parse_number(*last);
    if (!number) return fail(invalid("Last-Event-ID", "Last-Event-ID must be the id of an event of this stream: a decimal number."));
    return number;
  }
  const auto since = query_value(request.query, "since");
  if (!since) return std::optional<uint64_t>();
  const auto number = parse_number(*since);
  if (!number) return fail(invalid("since", "The parameter since must be the number of a change or a version: a decimal number."));
  return number;
}

Result<MapName> read_name(const Request& request) {
  std::vector<Problem> problems;
  const auto member = [&](const char* name) {
    std::string value = query_value(request.query, name).value_or("");
    if (value.empty()) problems.push_back({"missing-parameter", name, "This parameter must be the name of a loaded one."});
    return value;
  };
  MapName name{member("module"), member("map")};
  if (problems.empty()) return name;
  return fail(Error{ErrorCode::kInvalid, 0, "One map can be watched at a time: name it with ?module=MODULE&map=MAP.", {}, std::move(problems)});
}

}  // namespace

Response App::watch_changes(const Call& call) {
  const auto name = read_name(call.request);
  if (!name) return problem(name.error());
  auto since = read_since(call.request);
  if (!since) return problem(since.error());
  const bool full = streams_.fetch_add(1) >= kMaxStreams;
  const std::shared_ptr<void> place(&streams_, [this](void*) { --streams_; });  // kept by the stream
  if (full) {
    return problem({ErrorCode::kUnavailable, 0, "As many clients as the agent serves at a time, " + std::to_string(kMaxStreams) +
                                                    ", watch changes already; try again when one of them is gone.", {}, {}});
  }
  if (const auto last = service_.maps().ring_version(*name)) {
    auto records = service_.maps().subscribe_ring(*name, *since ? *since : last);
    if (!records) return problem(records.error());
    return stream_response(*last, std::make_shared<ChangeFeed>(std::move(*records)), place);
  }
  // Without `since` from the version that the header names, so that a client may read the map after it is connected.
  const auto version = service_.maps().version(*name);
  if (!version) return problem(version.error());
  auto subscription = service_.maps().subscribe(*name, *since ? **since : *version);
  if (!subscription) return problem(subscription.error());
  return stream_response(*version, std::make_shared<ChangeFeed>(std::move(*subscription)), place);
}

Response App::show_map(const Call& call) {
  const auto contents = service_.maps().read_map(name_of(call.parameter));
  if (!contents) return problem(contents.error());
  return {200, "application/json", contents_text(*contents) + "\n", {{"ETag", entity_tag(contents->version)}}};
}

Response App::replace_map(const Call& call) {
  const std::string_view match = call.request.header("If-Match").value_or("");
  if (match.empty())
    return problem(428, "precondition-required", "Name the version that this replaces, as GET gave it: If-Match: \"VERSION\".");
  const bool quoted = match.size() > 2 && match.front() == '"' && match.back() == '"';
  const auto version = quoted ? parse_number(match.substr(1, match.size() - 2)) : std::nullopt;
  if (!version) return problem(invalid("If-Match", "If-Match must be one version in quotes, as in ETag: \"3\"."));
  const auto entries = parse_entries(call.body);
  if (!entries) return problem(entries.error());
  const auto replaced = service_.maps().replace_map(name_of(call.parameter), *version, *entries);
  if (!replaced && replaced.error().code == ErrorCode::kInvalid) return problem(replaced.error(), About::kContent);
  if (!replaced) return problem(replaced.error());
  const MapName name = name_of(call.parameter);
  return {200, "application/json", replaced_text(name, *replaced, entries->size()) + "\n", {{"ETag", entity_tag(*replaced)}}};
}

}  // namespace mapshift::http
