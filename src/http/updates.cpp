// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

#include "base/clock.h"
#include "http/app.h"
#include "http/body.h"
#include "http/problem.h"

namespace mapshift::http {
namespace {

constexpr Nanos kMaxWait = std::chrono::seconds(60);
// A wait is cut into pieces, so that a stopping server is noticed soon without a second way to wake the Service.
constexpr Nanos kWaitPiece = std::chrono::milliseconds(200);
constexpr size_t kMaxKey = 255;

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Error invalid(std::string where, std::string message) {
  return {ErrorCode::kInvalid, 0, message, {}, {{"invalid-value", std::move(where), message}}};
}

// "3" in quotes is a generation, * any generation.
Result<std::optional<uint64_t>> parse_if_match(const Request& request) {
  const auto text = request.header("If-Match");
  if (!text || *text == "*") return std::optional<uint64_t>();
  const bool quoted = text->size() > 2 && text->front() == '"' && text->back() == '"';
  const auto generation = quoted ? parse_number(text->substr(1, text->size() - 2)) : std::nullopt;
  if (!generation) return fail(invalid("If-Match", "If-Match must be one generation in quotes, as in ETag: \"3\"."));
  return std::optional<uint64_t>(generation);
}

Result<std::string> parse_key(const Request& request) {
  const auto key = request.header("Idempotency-Key");
  if (!key) return std::string();
  const bool printable = std::all_of(key->begin(), key->end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (key->empty() || key->size() > kMaxKey || !printable)
    return fail(invalid("Idempotency-Key", "Idempotency-Key must have 1 to 255 printable ASCII characters."));
  return std::string(*key);
}

Result<UpdateOptions> parse_options(const Request& request) {
  UpdateOptions options;
  MS_TRY(options.if_generation, parse_if_match(request));
  MS_TRY(options.idempotency_key, parse_key(request));
  // The command line names itself, so that the record tells a person from a script.
  if (request.header("User-Agent").value_or("").starts_with("mapshift-cli")) options.trigger = "cli";
  return options;
}

}  // namespace

Response App::update_response(int status, const update::UpdateRecord& record) const {
  return {status, "application/json", codec_.update_text(record) + "\n", {}};
}

Response App::start_update(const Call& call) {
  auto options = parse_options(call.request);
  if (!options) return problem(options.error());
  const std::string key = options->idempotency_key;
  if (key.empty()) return start_new_update(call, std::move(*options));

  const Idempotency::Answer answer = idempotency_.begin(key, call.body);
  switch (answer.verdict) {
    case Idempotency::Verdict::kNew: break;
    case Idempotency::Verdict::kReplay: {
      const auto record = service_.update(answer.update_id, 0, Nanos(0));
      if (!record) return problem(record.error());
      Response response = update_response(202, *record);
      response.headers.emplace_back("Location", "/api/v1/updates/" + record->id);
      return response;
    }
    case Idempotency::Verdict::kMismatch:
      return problem(422, "idempotency-key-reused", "This Idempotency-Key came with another body before; use a new key.");
    case Idempotency::Verdict::kRunning:
      return problem(409, "request-under-way", "A request with this Idempotency-Key is being served; ask again for its answer.");
  }
  try {
    return start_new_update(call, std::move(*options));
  } catch (...) {
    idempotency_.forget(key);
    throw;
  }
}

Response App::start_new_update(const Call& call, UpdateOptions options) {
  const std::string key = options.idempotency_key;
  const auto refuse = [&](const Error& error, About about) {
    if (!key.empty()) idempotency_.forget(key);
    return problem(error, about);
  };
  const auto request = parse_manifest_request(call.body, Members::kUpdate);
  if (!request) return refuse(request.error(), About::kRequest);
  const auto manifest = read_manifest(*request);
  if (!manifest) return refuse(manifest.error(), About::kContent);
  options.bake = request->bake;
  options.allow_lossy = request->allow_lossy;
  options.force_quarantined = request->force_quarantined;
  const auto record = service_.start_update(*manifest, options);
  if (!record) return refuse(record.error(), record.error().code == ErrorCode::kInvalid ? About::kContent : About::kRequest);
  if (!key.empty()) idempotency_.finish(key, record->id);
  Response response = update_response(202, *record);
  response.headers.emplace_back("Location", "/api/v1/updates/" + record->id);
  return response;
}

Response App::list_updates(const Call& call) {
  std::string list;
  for (const update::UpdateRecord& record : service_.updates(query_value(call.request.query, "module").value_or(""))) {
    if (!list.empty()) list += ',';
    list += codec_.update_text(record);
  }
  return {200, "application/json", "{\"updates\":[" + list + "]}\n", {}};
}

Response App::show_update(const Call& call) {
  const auto since_text = query_value(call.request.query, "since"), wait_text = query_value(call.request.query, "wait");
  const auto since = parse_number(since_text.value_or("0"));
  const auto wait = parse_duration(wait_text.value_or("0s"));
  std::vector<Problem> problems;
  if (!since) problems.push_back({"invalid-value", "since", "The parameter since must be a revision: a decimal number."});
  if (!wait) problems.push_back({"invalid-value", "wait", "The parameter wait must be a duration such as 30s: " + wait.error().message});
  if (!problems.empty()) {
    const std::string first = problems.front().message;
    return problem(Error{ErrorCode::kInvalid, 0, first, {}, std::move(problems)});
  }
  const auto record = wait_for_news(call, *since, std::min(*wait, kMaxWait));
  return record ? update_response(200, *record) : problem(record.error());
}

Result<update::UpdateRecord> App::wait_for_news(const Call& call, uint64_t since, Nanos wait) {
  if (wait == Nanos(0)) return service_.update(call.parameter, 0, Nanos(0));
  struct Place {  // among the waiters
    std::atomic<int>& taken;
    const bool free = taken.fetch_add(1) < kMaxWaiters;
    ~Place() { --taken; }
  } place{waiters_};
  if (!place.free) return service_.update(call.parameter, 0, Nanos(0));
  const Nanos deadline = monotonic_now() + wait;
  for (;;) {
    const bool stopping = call.request.stopping && call.request.stopping();
    const Nanos left = stopping ? Nanos(0) : std::max(deadline - monotonic_now(), Nanos(0));
    auto record = service_.update(call.parameter, since, std::min(left, kWaitPiece));
    if (left <= kWaitPiece || !record || record->revision > since) return record;
  }
}

Response App::decide(const Call& call, Verdict verdict) {
  const auto reason = parse_reason(call.body);
  if (!reason) return problem(reason.error());
  const auto record = service_.decide(call.parameter, verdict, *reason, "operator");
  return record ? update_response(202, *record) : problem(record.error());
}

}  // namespace mapshift::http
