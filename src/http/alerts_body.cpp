// SPDX-License-Identifier: Apache-2.0
#include "http/alerts_body.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace mapshift::http {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 64;
constexpr size_t kMaxFingerprint = 128;
constexpr size_t kMaxSummary = 1024;

// Beforehand, since a callback of the parser would double its time.
bool nests_too_deep(const std::string& body) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < body.size(); ++i) {
    const char c = body[i];
    if (c == '"') quoted = !quoted;
    else if (quoted && c == '\\') ++i;
    else if (!quoted && (c == '[' || c == '{') && ++depth > kMaxDepth) return true;
    else if (!quoted && (c == ']' || c == '}')) --depth;
  }
  return false;
}

Result<Json> parse(const std::string& body) {
  if (nests_too_deep(body)) return fail(ErrorCode::kInvalid, "The body nests deeper than " + std::to_string(kMaxDepth) + " levels.");
  try {
    return Json::parse(body);
  } catch (const Json::exception& error) {
    return fail(ErrorCode::kInvalid, std::string("The body is no JSON document. ") + error.what());
  }
}

// Empty when it is absent or no string.
std::string text(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Alertmanager always sends a fingerprint; for others the labels are what tells one alert from the next. FNV-1a.
std::string fingerprint_of(const std::map<std::string, std::string>& labels) {
  uint64_t hash = 14695981039346656037ULL;
  const auto mix = [&](const std::string& part) {
    for (const char c : part + '\0') hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  };
  for (const auto& [name, value] : labels) {
    mix(name);
    mix(value);
  }
  char out[24];
  std::snprintf(out, sizeof out, "labels-%016llx", static_cast<unsigned long long>(hash));
  return out;
}

// `status` in its own member is "firing" or "resolved".
alerts::Alert read_alert(const Json& item, std::string status) {
  alerts::Alert out;
  const auto complain = [&](const char* what) {
    if (out.fault.empty()) out.fault = what;
  };
  if (!item.is_object()) {
    complain("an alert must be an object");
    return out;
  }
  if (const auto labels = item.find("labels"); labels != item.end() && labels->is_object()) {
    for (const auto& [name, value] : labels->items()) {
      if (value.is_string()) out.labels.emplace(name, value.get<std::string>());
      else complain("a label must be a string");
    }
  } else {
    complain("\"labels\" must be an object");
  }
  if (const auto notes = item.find("annotations"); notes != item.end() && notes->is_object()) out.summary = text(*notes, "summary").substr(0, kMaxSummary);
  out.key = {text(item, "fingerprint"), text(item, "startsAt"), std::move(status)};
  if (out.key.fingerprint.size() > kMaxFingerprint) complain("\"fingerprint\" is too long");
  if (out.key.fingerprint.empty() || out.key.fingerprint.size() > kMaxFingerprint) out.key.fingerprint = fingerprint_of(out.labels);
  if (out.key.status != "firing" && out.key.status != "resolved") {
    complain("\"status\" must be \"firing\" or \"resolved\"");
    out.key.status.clear();
  }
  if (const auto started = parse_time(out.key.starts_at)) {
    out.started = *started;
  } else {
    complain("\"startsAt\" must be a time such as 2026-01-01T00:00:00Z");
    out.key.starts_at.clear();
  }
  return out;
}

tl::unexpected<Error> too_many(size_t count) {
  return fail(ErrorCode::kTooLarge, std::to_string(count) + " alerts in one request, more than " + std::to_string(kMaxAlerts) +
                                        ": set max_alerts in Alertmanager's webhook_config");
}

}  // namespace

Result<std::vector<alerts::Alert>> parse_webhook(const std::string& body) {
  MS_TRY(const Json document, parse(body));
  if (!document.is_object()) return fail(ErrorCode::kInvalid, "The body must be a JSON object, as Alertmanager's webhook sends it.");
  const auto list = document.find("alerts");
  if (list == document.end() || !list->is_array()) return fail(ErrorCode::kInvalid, "The member \"alerts\" must be an array.");
  if (const auto version = document.find("version"); version != document.end() && *version != "4") {
    return fail(ErrorCode::kInvalid, "The member \"version\" is not \"4\": this agent reads version 4 of Alertmanager's webhook.");
  }
  if (list->size() > kMaxAlerts) return too_many(list->size());
  std::vector<alerts::Alert> out;
  out.reserve(list->size());
  for (const Json& item : *list) {
    std::string status = item.is_object() && item.contains("status") ? text(item, "status") : text(document, "status");
    out.push_back(read_alert(item, std::move(status)));
  }
  return out;
}

Result<std::vector<alerts::Alert>> parse_active_alerts(const std::string& body) {
  MS_TRY(const Json document, parse(body));
  if (!document.is_array()) return fail(ErrorCode::kInvalid, "the answer is no array of alerts: is it Alertmanager's?");
  if (document.size() > kMaxAlerts) return too_many(document.size());
  std::vector<alerts::Alert> out;
  out.reserve(document.size());
  for (const Json& item : document) out.push_back(read_alert(item, "firing"));
  return out;
}

std::string deliveries_text(const std::vector<alerts::Delivery>& deliveries) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const alerts::Delivery& one : deliveries) {
    list.push_back({{"fingerprint", one.key.fingerprint},
                    {"status", one.key.status},
                    {"alertname", one.name},
                    {"module", one.module},
                    {"update_id", one.update_id},
                    {"disposition", alerts::name_of(one.disposition)},
                    {"message", one.message}});
  }
  const nlohmann::ordered_json document = {{"alerts", std::move(list)}};
  return document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace mapshift::http
