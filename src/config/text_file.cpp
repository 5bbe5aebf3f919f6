// SPDX-License-Identifier: Apache-2.0
#include "config/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/fd.h"
#include "base/named_file.h"

namespace mapshift::config {

Result<std::string> read_text_file(const std::string& path, size_t limit) {
  // O_NONBLOCK: a named pipe must not hold the caller.
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) {
    if (errno == ENOENT || errno == ENOTDIR) return fail(ErrorCode::kNotFound, path + ": no such file");
    return fail_named_file(errno, "cannot read " + path);
  }
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return fail_named_file(errno, "cannot read " + path);
  if (!S_ISREG(info.st_mode)) return fail(ErrorCode::kInvalid, path + ": not a regular file");
  std::string text;
  char buffer[16 * 1024];
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_named_file(errno, "cannot read " + path);
    if (got == 0) return text;
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > limit)
      return fail(ErrorCode::kTooLarge, path + ": larger than the limit of " + std::to_string(limit) + " bytes");
  }
}

}  // namespace mapshift::config
