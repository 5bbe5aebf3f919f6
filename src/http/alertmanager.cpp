// SPDX-License-Identifier: Apache-2.0
#include "http/alertmanager.h"

#include <curl/curl.h>

#include <memory>

#include "http/alerts_body.h"

namespace mapshift::http {
namespace {

constexpr size_t kMaxAnswer = 4 << 20;
constexpr long kTimeoutMs = 1000;  // of each of the two requests
constexpr size_t kShownAnswer = 200;

struct CurlFree {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};

size_t append(char* data, size_t size, size_t count, void* out) {
  auto& body = *static_cast<std::string*>(out);
  if (body.size() + size * count > kMaxAnswer) return 0;
  body.append(data, size * count);
  return size * count;
}

Result<std::string> get(const std::string& url) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(started);
  const std::unique_ptr<CURL, CurlFree> handle(curl_easy_init());
  if (!handle) return fail(ErrorCode::kInternal, "libcurl cannot be started");
  std::string body;
  curl_easy_setopt(handle.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(handle.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_TIMEOUT_MS, kTimeoutMs);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEDATA, &body);
  if (const CURLcode code = curl_easy_perform(handle.get()); code != CURLE_OK) {
    return fail(ErrorCode::kUnavailable, "no answer from Alertmanager at " + url + ": " + curl_easy_strerror(code));
  }
  long status = 0;
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status == 200) return body;
  return fail(ErrorCode::kUnavailable, "Alertmanager at " + url + " answered " + std::to_string(status) + ": " + body.substr(0, kShownAnswer));
}

}  // namespace

Result<std::vector<alerts::Alert>> active_alerts(const std::string& url) {
  std::string base = url;
  while (base.ends_with('/')) base.pop_back();
  std::vector<alerts::Alert> out;
  // alertname="MapshiftWatchdog", mapshift_action="rollback"
  for (const char* filter : {"alertname%3D%22MapshiftWatchdog%22", "mapshift_action%3D%22rollback%22"}) {
    MS_TRY(const std::string body, get(base + "/api/v2/alerts?active=true&silenced=false&inhibited=false&unprocessed=false&filter=" + filter));
    auto found = parse_active_alerts(body);
    if (!found) return fail(found.error().code, base + ": " + found.error().message);
    out.insert(out.end(), found->begin(), found->end());
  }
  return out;
}

}  // namespace mapshift::http
