// SPDX-License-Identifier: Apache-2.0
#include "cli/transport.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "config/text_file.h"

namespace mapshift::cli {
namespace {

constexpr size_t kMaxAnswer = 64 << 20;
constexpr size_t kMaxAgentFile = 64 << 10;
constexpr size_t kMaxToken = 4096;

struct CurlFree {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

size_t append(char* data, size_t size, size_t count, void* out) {
  auto& body = *static_cast<std::string*>(out);
  if (body.size() + size * count > kMaxAnswer) return 0;
  body.append(data, size * count);
  return size * count;
}

// One answer that is read while it comes.
struct Streaming {
  CURL* handle;
  const StreamReader& reader;
  Response response = {};
  std::string etag = {};
  bool started = false, enough = false;

  static size_t on_header(char* data, size_t size, size_t count, void* self) {
    constexpr std::string_view kName = "etag:";
    std::string_view line(data, size * count);
    std::string name(line.substr(0, kName.size()));
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (name != kName) return line.size();
    auto& etag = static_cast<Streaming*>(self)->etag;
    etag.clear();
    for (const char c : line.substr(kName.size()))
      if (std::isdigit(static_cast<unsigned char>(c)) != 0) etag += c;
    return line.size();
  }
  static size_t on_piece(char* data, size_t size, size_t count, void* self) {
    auto& one = *static_cast<Streaming*>(self);
    long status = 0;
    curl_easy_getinfo(one.handle, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status > 299) return append(data, size, count, &one.response.body);
    if (!one.started) one.reader.started(one.etag);
    one.started = true;
    one.enough = !one.reader.piece({data, size * count});
    return one.enough ? 0 : size * count;
  }
};

class HttpTransport : public Transport {
 public:
  explicit HttpTransport(AgentAddress address) : address_(std::move(address)) {}

  Result<Response> send(const Request& request) override {
    MS_TRY(const std::string base, base_url());
    const std::unique_ptr<CURL, CurlFree> handle(curl_easy_init());
    if (!handle) return fail(ErrorCode::kInternal, "libcurl cannot be started");
    const std::string url = base + request.path;
    const std::unique_ptr<curl_slist, CurlFree> headers = make_headers(request);
    Response response;
    set_up(handle.get(), request, url, headers.get(), response);
    const CURLcode code = curl_easy_perform(handle.get());
    if (code != CURLE_OK) {
      return fail(ErrorCode::kUnavailable, "no answer from the agent at " + base + ": " + curl_easy_strerror(code) + hint(code));
    }
    long status = 0;
    curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
    response.status = static_cast<int>(status);
    return response;
  }

  Result<Response> stream(const Request& request, const StreamReader& reader) override {
    constexpr long kSilence = 20;  // seconds; the agent writes something every 2
    MS_TRY(const std::string base, base_url());
    const std::unique_ptr<CURL, CurlFree> handle(curl_easy_init());
    if (!handle) return fail(ErrorCode::kInternal, "libcurl cannot be started");
    const std::string url = base + request.path;
    const std::unique_ptr<curl_slist, CurlFree> headers = make_headers(request);
    Streaming streaming{handle.get(), reader};
    set_up(handle.get(), request, url, headers.get(), streaming.response);
    curl_easy_setopt(handle.get(), CURLOPT_TIMEOUT, 0L);
    curl_easy_setopt(handle.get(), CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(handle.get(), CURLOPT_LOW_SPEED_TIME, kSilence);
    curl_easy_setopt(handle.get(), CURLOPT_HEADERFUNCTION, &Streaming::on_header);
    curl_easy_setopt(handle.get(), CURLOPT_HEADERDATA, &streaming);
    curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, &Streaming::on_piece);
    curl_easy_setopt(handle.get(), CURLOPT_WRITEDATA, &streaming);
    const CURLcode code = curl_easy_perform(handle.get());
    if (code != CURLE_OK && !streaming.started) {
      return fail(ErrorCode::kUnavailable, "no answer from the agent at " + base + ": " + curl_easy_strerror(code) + hint(code));
    }
    long status = 0;
    curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
    streaming.response.status = static_cast<int>(status);
    return std::move(streaming.response);
  }

 private:
  static void set_up(CURL* handle, const Request& request, const std::string& url, curl_slist* headers, Response& response) {
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "mapshift-cli/" MS_VERSION);
    curl_easy_setopt(handle, CURLOPT_PROXY, "");  // the agent is a neighbour, whatever http_proxy says
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, 2000L);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT, static_cast<long>(request.timeout.count()));
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &response.body);
    if (request.method == "POST") {
      curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body.c_str());
      curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body.size()));
    }
  }

  [[nodiscard]] Result<std::string> base_url() const {
    std::string agent = address_.agent;
    if (agent.empty()) {
      MS_TRY(agent, address_from_file());
    }
    const bool clean = std::ranges::all_of(agent, [](unsigned char c) { return c > ' ' && c < 0x7f; });
    if (!clean || agent.empty())
      return fail(ErrorCode::kUnavailable, "\"" + agent + "\" is not an address; give --agent host:port");
    while (agent.ends_with('/')) agent.pop_back();
    return agent.find("://") == std::string::npos ? "http://" + agent : agent;
  }

  [[nodiscard]] Result<std::string> address_from_file() const {
    const std::string path = address_.run_dir + "/agent.json";
    const Result<std::string> text = config::read_text_file(path, kMaxAgentFile);
    if (!text) {
      return fail(ErrorCode::kUnavailable, text.error().message +
                                               "; is the agent running? Start it with \"mapshiftd --config FILE\", or give " +
                                               "--run-dir or --agent");
    }
    const nlohmann::json document = nlohmann::json::parse(*text, nullptr, false);
    if (!document.is_object() || !document.contains("api") || !document["api"].is_string()) {
      return fail(ErrorCode::kUnavailable, path + ": not the file of an agent; start the agent again, or give --agent");
    }
    return document["api"].get<std::string>();
  }

  // Without a readable token the request goes out bare: the agent's refusal says what is missing.
  [[nodiscard]] std::unique_ptr<curl_slist, CurlFree> make_headers(const Request& request) const {
    curl_slist* list = nullptr;
    const std::string path = address_.token_file.empty() ? address_.run_dir + "/token" : address_.token_file;
    if (Result<std::string> token = config::read_text_file(path, kMaxToken)) {
      std::erase_if(*token, [](unsigned char c) { return c <= ' ' || c >= 0x7f; });
      list = curl_slist_append(list, ("Authorization: Bearer " + *token).c_str());
    }
    if (request.method == "POST") list = curl_slist_append(list, "Content-Type: application/json");
    list = curl_slist_append(list, "Expect:");
    for (const std::string& header : request.headers) list = curl_slist_append(list, header.c_str());
    return std::unique_ptr<curl_slist, CurlFree>(list);
  }

  [[nodiscard]] std::string hint(CURLcode code) const {
    if (code == CURLE_OPERATION_TIMEDOUT) return "; is it busy, or is the address another's?";
    return address_.agent.empty() ? "; the agent of " + address_.run_dir + "/agent.json seems to have stopped: start it again"
                                  : "; check --agent";
  }

  AgentAddress address_;
};

}  // namespace

std::unique_ptr<Transport> make_http_transport(AgentAddress address) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(started);
  return std::make_unique<HttpTransport>(std::move(address));
}

}  // namespace mapshift::cli
