// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <mutex>
#include <string_view>

namespace mapshift::http {

// The secret that a client must show. Only its digest is kept, so that the comparison takes the same time whatever is
// shown. Without a token, or with an empty one, nobody is let in. Thread-safe.
class Token {
 public:
  Token();
  void set(std::string_view token);  // white space around it, as files end with, is not part of it
  // `authorization` is the header's value: "Bearer TOKEN".
  [[nodiscard]] bool accepts(std::string_view authorization) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  [[nodiscard]] Digest digest(std::string_view text) const;

  Digest key_{};  // random, so that digests cannot be prepared
  mutable std::mutex mutex_;
  Digest digest_{};
  bool set_ = false;
};

}  // namespace mapshift::http
