// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <cstring>

namespace mapshift {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid: return "invalid";
    case ErrorCode::kRefused: return "refused";
    case ErrorCode::kNotFound: return "not-found";
    case ErrorCode::kConflict: return "conflict";
    case ErrorCode::kStale: return "stale";
    case ErrorCode::kUnauthorized: return "unauthorized";
    case ErrorCode::kTooLarge: return "too-large";
    case ErrorCode::kUnsupported: return "unsupported";
    case ErrorCode::kKernel: return "kernel";
    case ErrorCode::kTimeout: return "timeout";
    case ErrorCode::kUnavailable: return "unavailable";
    case ErrorCode::kInternal: return "internal";
  }
  return "internal";
}

tl::unexpected<Error> fail_errno(int err, std::string what) {
  if (err < 0) err = -err;
  what += ": ";
  what += std::strerror(err);
  return fail(Error{ErrorCode::kKernel, err, std::move(what), {}, {}});
}

}  // namespace mapshift
