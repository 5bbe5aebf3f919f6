// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "base/result.h"
#include "http/message.h"

namespace mapshift::http {

// What a kInvalid, kNotFound error is about decides between the request (400, 404) and what it carries (422).
enum class About : uint8_t { kRequest, kContent };

[[nodiscard]] int status_of(const Error& error, About about);
// application/problem+json (RFC 9457): type, title, status, detail, errors, and context where there is one.
[[nodiscard]] Response problem(const Error& error, About about = About::kRequest);
// For what no ErrorCode says: 405, 411, 417. `code` becomes the type and the code of its one error.
[[nodiscard]] Response problem(int status, const std::string& code, const std::string& detail);

}  // namespace mapshift::http
