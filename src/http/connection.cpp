// SPDX-License-Identifier: Apache-2.0
#include "http/connection.h"

#include <civetweb.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "base/clock.h"

namespace mapshift::http {
namespace {

// The API's answers must not be kept, and no page of ours may be shown in another one or load anything.
constexpr std::string_view kEveryResponse =
    "Connection: close\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n";
constexpr size_t kReadPiece = 512;
constexpr size_t kWritePiece = size_t{16} << 10;

std::string text_or_empty(const char* text) { return text == nullptr ? std::string() : std::string(text); }

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

std::string head(const Response& response) {
  std::string out = "HTTP/1.1 " + std::to_string(response.status) + " " + std::string(reason_phrase(response.status)) +
                    "\r\nDate: " + http_date() + "\r\n" + std::string(kEveryResponse) + "Content-Type: " + response.content_type + "\r\n";
  // The end of a stream is the end of the connection.
  if (!response.stream) out += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  for (const auto& [name, value] : response.headers) {
    out += name + ": ";
    // A value may quote a name from outside; it must not end the line.
    for (char c : value) out += static_cast<unsigned char>(c) < ' ' || c == 0x7F ? '?' : c;
    out += "\r\n";
  }
  return out + "\r\n";
}

}  // namespace

Request Connection::request() const {
  const mg_request_info* info = ::mg_get_request_info(connection_);
  Request request{text_or_empty(info->request_method), text_or_empty(info->local_uri_raw), text_or_empty(info->query_string)};
  for (int i = 0; i < info->num_headers; ++i)
    request.headers.emplace_back(text_or_empty(info->http_headers[i].name), text_or_empty(info->http_headers[i].value));
  return request;
}

Result<std::string> Connection::read_body(uint64_t length, bool send_continue) {
  if (length > kMaxBody) return fail(ErrorCode::kTooLarge, "The body is larger than 1 MiB.");
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  if (send_continue) ::mg_write(connection_, kContinue.data(), kContinue.size());
  const Nanos deadline = monotonic_now() + kReadTime;
  std::string body(length, '\0');
  while (consumed_ < length) {
    // civetweb returns when the piece is full or nothing came for its timeout, so small pieces keep the deadline honest.
    const uint64_t wanted = std::min<uint64_t>(kReadPiece, length - consumed_);
    const int got = ::mg_read(connection_, body.data() + consumed_, wanted);
    broken_ = got < 0 || static_cast<uint64_t>(got) < wanted || monotonic_now() > deadline;
    if (broken_) return fail(ErrorCode::kTimeout, "The body did not arrive in time.");
    consumed_ += static_cast<uint64_t>(got);
  }
  return body;
}

void Connection::send(const Response& response, bool with_body) {
  std::string out = head(response);
  if (with_body) out += response.body;
  static_cast<void>(write(out));  // whoever stopped reading does not want it
}

bool Connection::write(std::string_view text) {
  const Nanos deadline = monotonic_now() + kWriteTime;
  for (size_t sent = 0; sent < text.size();) {
    if (monotonic_now() >= deadline) return false;
    // Waits for room until the library's timeout; a short count is one that it gave up on.
    const int wrote = ::mg_write(connection_, text.data() + sent, std::min(kWritePiece, text.size() - sent));
    if (wrote <= 0) return false;
    sent += static_cast<size_t>(wrote);
  }
  return true;
}

void Connection::send_stream(const Response& response, const std::function<bool()>& stopping) {
  if (!write(head(response))) return;
  while (!stopping()) {
    const std::optional<std::string> text = response.stream();
    if (!text) return;
    // Who reads slowly is waited for, a piece at a time, and falls behind; who does not read is dropped.
    for (size_t sent = 0; sent < text->size() && !stopping(); sent += kWritePiece) {
      const size_t wanted = std::min(kWritePiece, text->size() - sent);
      if (::mg_write(connection_, text->data() + sent, wanted) != static_cast<int>(wanted)) return;
    }
  }
}

void Connection::close() { ::mg_close_connection(connection_); }

void Connection::drain(uint64_t length, bool trusted) {
  constexpr uint64_t kKnown = uint64_t{32} << 20, kStranger = uint64_t{64} << 10;
  const uint64_t end = std::min(length, consumed_ + (trusted ? kKnown : kStranger));
  const Nanos deadline = monotonic_now() + (trusted ? std::chrono::milliseconds(2000) : std::chrono::milliseconds(500));
  std::array<char, 4096> scrap;
  // Byte by byte for a stranger: a longer read would wait for the rest of its piece, however slowly it comes.
  const uint64_t piece = trusted ? scrap.size() : 1;
  while (!broken_ && consumed_ < end && monotonic_now() < deadline) {
    const uint64_t wanted = std::min(piece, end - consumed_);
    const int got = ::mg_read(connection_, scrap.data(), wanted);
    if (got < 0 || static_cast<uint64_t>(got) < wanted) return;
    consumed_ += static_cast<uint64_t>(got);
  }
}

}  // namespace mapshift::http
