// SPDX-License-Identifier: Apache-2.0
#include "promql/http_get.h"

#include <curl/curl.h>

#include <memory>

namespace mapshift::promql {
namespace {

struct Body {
  std::string text;
  size_t limit = 0;
  bool too_large = false;
};

size_t append(char* data, size_t size, size_t count, void* out) {
  auto& body = *static_cast<Body*>(out);
  const size_t bytes = size * count;
  if (bytes > body.limit - body.text.size()) {
    body.too_large = true;
    return 0;
  }
  body.text.append(data, bytes);
  return bytes;
}

struct CurlFree {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};

using Handle = std::unique_ptr<CURL, CurlFree>;

Handle make_handle() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  return started == CURLE_OK ? Handle(curl_easy_init()) : Handle();
}

void set_up(CURL* handle, const std::string& url, const GetLimits& limits, Body& body) {
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "mapshiftd");
  curl_easy_setopt(handle, CURLOPT_PROXY, "");  // what is asked is a neighbour, whatever http_proxy says
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(limits.timeout.count()));
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &body);
}

}  // namespace

Result<Answer> http_get(const std::string& url, const GetLimits& limits) {
  const Handle handle = make_handle();
  if (!handle) return fail(ErrorCode::kInternal, "libcurl cannot be started");
  Body body{{}, limits.max_bytes};
  set_up(handle.get(), url, limits, body);
  const CURLcode code = curl_easy_perform(handle.get());
  if (body.too_large) return fail(ErrorCode::kTooLarge, "the answer is larger than " + std::to_string(limits.max_bytes) + " bytes");
  if (code == CURLE_OPERATION_TIMEDOUT) {
    return fail(ErrorCode::kTimeout, "no answer within " + std::to_string(limits.timeout.count()) + " ms");
  }
  if (code != CURLE_OK) return fail(ErrorCode::kUnavailable, curl_easy_strerror(code));
  long status = 0;
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
  return Answer{static_cast<int>(status), std::move(body.text)};
}

std::string url_escape(const std::string& text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
    const bool plain = letter || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == '.';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

}  // namespace mapshift::promql
