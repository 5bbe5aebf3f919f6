// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>

#include "http/message.h"

namespace mapshift::http {

struct Framing {
  uint64_t body_length = 0;              // what the client says it sends; 0 too when it cannot be known
  bool wants_continue = false;           // "Expect: 100-continue"
  std::optional<Response> refusal = {};  // the request must not be served
};

// Decides from the headers alone where the body ends. Whatever two readers could take in two ways is refused: two lengths,
// a length beside a transfer coding, two credentials.
[[nodiscard]] Framing frame(const Request& request);

}  // namespace mapshift::http
