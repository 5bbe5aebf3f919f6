// SPDX-License-Identifier: Apache-2.0
#include "promql/client.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

namespace mapshift::promql {
namespace {

using Json = nlohmann::json;
using Value = Result<std::optional<double>>;

constexpr size_t kShown = 200;  // bytes of a stranger's text that go into a message
constexpr int kMaxDepth = 16;

// One printable line.
std::string excerpt(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kShown)) out += c >= ' ' && c < 0x7f ? c : '.';
  return text.size() > kShown ? out + "..." : out;
}

std::string text_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// "NaN", "+Inf", "-Inf", "1.5e-3": as Go writes numbers.
std::optional<double> number(const std::string& text) {
  if (text == "+Inf" || text == "Inf") return std::numeric_limits<double>::infinity();
  if (text == "-Inf") return -std::numeric_limits<double>::infinity();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return value;
}

// [time, "value"]
Value point(const Json& pair) {
  if (pair.is_array() && pair.size() == 2 && pair[1].is_string()) {
    if (const auto value = number(pair[1].get<std::string>())) return *value;
  }
  return fail(ErrorCode::kInternal, "its answer holds no number where one belongs");
}

Value vector_value(const Json& series) {
  if (!series.is_array()) return fail(ErrorCode::kInternal, "its answer holds no list of series");
  if (series.empty()) return std::optional<double>();
  if (series.size() > 1)
    return fail(ErrorCode::kInvalid, fmt::format("the query gives {} series where one is expected: aggregate them, with sum() or max() "
                                                 "for example",
                                                 series.size()));
  const Json& only = series.front();
  if (!only.is_object() || !only.contains("value")) return fail(ErrorCode::kInvalid, "the query gives a histogram, not a number");
  return point(only["value"]);
}

// The document, unless it nests deeper than any answer of Prometheus.
Json parse(std::string_view body) {
  const auto shallow = [](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxDepth) throw std::length_error("nested too deeply");
    return true;
  };
  try {
    return Json::parse(body, shallow, false);
  } catch (const std::length_error&) {
    return Json(Json::value_t::discarded);
  }
}

}  // namespace

Value parse_answer(int status, std::string_view body) {
  const Json document = parse(body);
  const bool ours = document.is_object() && document.contains("status");
  if (!ours) {
    if (status != 200) return fail(ErrorCode::kUnavailable, fmt::format("it answered with HTTP status {}: {}", status, excerpt(body)));
    return fail(ErrorCode::kUnavailable, "its answer is not one of Prometheus: " + excerpt(body));
  }
  if (text_of(document, "status") != "success") {
    const std::string type = text_of(document, "errorType");
    // Of "timeout", "canceled", "internal", "unavailable" the query is innocent.
    const ErrorCode code = type == "bad_data" || type == "execution" ? ErrorCode::kInvalid : ErrorCode::kUnavailable;
    return fail(code, fmt::format("it refused the query: {} ({})", excerpt(text_of(document, "error")), excerpt(type)));
  }
  if (status != 200) return fail(ErrorCode::kUnavailable, fmt::format("it answered with HTTP status {}", status));
  const auto data = document.find("data");
  const bool whole = data != document.end() && data->is_object() && data->contains("result");
  if (!whole) return fail(ErrorCode::kUnavailable, "its answer holds no result");
  const std::string type = text_of(*data, "resultType");
  if (type == "vector") return vector_value((*data)["result"]);
  if (type == "scalar") return point((*data)["result"]);
  return fail(ErrorCode::kInvalid, "the query gives a " + excerpt(type) + ", not one number");
}

Client::Client(std::string url, GetLimits limits) : url_(std::move(url)), limits_(limits) {
  while (url_.ends_with('/')) url_.pop_back();
}

Value Client::query(const std::string& text) const {
  // Prometheus' own limit is a little shorter, so that it gives up before we hang up.
  const double seconds = static_cast<double>(limits_.timeout.count()) / 1000 * 0.9;
  const auto answer = http_get(fmt::format("{}/api/v1/query?query={}&timeout={:.3f}", url_, url_escape(text), seconds), limits_);
  Value value = std::optional<double>();
  if (answer) value = parse_answer(answer->status, answer->body);
  else value = fail(answer.error());
  if (!value) value.error().message = fmt::format("Prometheus at {}: {}", url_, value.error().message);
  return value;
}

}  // namespace mapshift::promql
