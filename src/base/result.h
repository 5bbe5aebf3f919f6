// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace mapshift {

// What kind of failure it is: callers branch on this, people read `message`.
enum class ErrorCode : uint8_t {
  kInvalid,       // the input is wrong (manifest, configuration, object, request)
  kRefused,       // the input is well formed, but doing it would not be safe; `problems` says why
  kNotFound,      // no such module, update, file, interface
  kConflict,      // something else is under way, or already there
  kStale,         // the caller's precondition (generation) no longer holds
  kUnauthorized,  // wrong or missing credentials
  kTooLarge,      // beyond a stated limit
  kUnsupported,   // this host or this release cannot do it
  kKernel,        // a system call or libbpf failed; `sys_errno` is set
  kTimeout,       // a deadline passed
  kUnavailable,   // the other side cannot be reached
  kInternal,      // a broken invariant of ours
};
[[nodiscard]] std::string_view to_string(ErrorCode code);

// One thing that is wrong with an input. `code` is a stable kebab-case word, `where` a path such as
// "maps.flows.fields.packets".
struct Problem {
  std::string code;
  std::string where;
  std::string message;
};

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  int sys_errno = 0;     // 0 when no system call failed
  std::string message;   // what happened, where, and what to do; one sentence or two, no trailing newline
  std::string context;   // long supporting text (the last lines of a verifier log), or empty
  std::vector<Problem> problems = {};  // everything that is wrong, not the first thing only
};

// Usage: `Result<Fd> open(…)`; return a value, or `return fail(ErrorCode::kNotFound, "…")`.
template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, 0, std::move(message), {}, {}});
}
[[nodiscard]] inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }
// A failed system call: `fail_errno(errno, "open /x")` reads "open /x: No such file or directory".
[[nodiscard]] tl::unexpected<Error> fail_errno(int err, std::string what);

// Evaluate `expr` (a Result); on error return it from the enclosing function, else bind the value.
#define MS_CONCAT_(a, b) a##b
#define MS_CONCAT(a, b) MS_CONCAT_(a, b)
#define MS_TRY(decl, expr) MS_TRY_(MS_CONCAT(ms_result_, __LINE__), decl, expr)
#define MS_TRY_(tmp, decl, expr)                             \
  auto tmp = (expr);                                         \
  if (!tmp) return ::mapshift::fail(std::move(tmp).error()); \
  decl = std::move(*tmp)
#define MS_CHECK(expr)                                                          \
  do {                                                                          \
    auto ms_status_ = (expr);                                                   \
    if (!ms_status_) return ::mapshift::fail(std::move(ms_status_).error());    \
  } while (false)

}  // namespace mapshift
