// SPDX-License-Identifier: Apache-2.0
#include "http/token.h"

#include <sodium.h>

#include "http/message.h"

namespace mapshift::http {
namespace {

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

}  // namespace

Token::Token() {
  // Fails only without a source of randomness, and then the library itself ends the process in the next line.
  if (sodium_init() < 0) key_ = {};
  randombytes_buf(key_.data(), key_.size());
}

Token::Digest Token::digest(std::string_view text) const {
  Digest out{};
  crypto_generichash(out.data(), out.size(), reinterpret_cast<const unsigned char*>(text.data()), text.size(), key_.data(),
                     key_.size());
  return out;
}

void Token::set(std::string_view token) {
  token = trim(token);
  const Digest fresh = digest(token);
  const std::lock_guard lock(mutex_);
  digest_ = fresh;
  set_ = !token.empty();
}

bool Token::accepts(std::string_view authorization) const {
  constexpr std::string_view kScheme = "Bearer ";
  if (authorization.size() <= kScheme.size() || !equal_ignoring_case(authorization.substr(0, kScheme.size()), kScheme)) return false;
  const Digest shown = digest(trim(authorization.substr(kScheme.size())));
  const std::lock_guard lock(mutex_);
  return sodium_memcmp(shown.data(), digest_.data(), digest_.size()) == 0 && set_;
}

}  // namespace mapshift::http
