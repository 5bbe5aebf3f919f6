// SPDX-License-Identifier: Apache-2.0
#include "kernel/digest.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/fd.h"

namespace mapshift {

Result<std::vector<std::byte>> read_file_bytes(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid() && errno == ENOENT) return fail(Error{ErrorCode::kNotFound, ENOENT, "there is no object file " + path, {}, {}});
  if (!fd.valid()) return fail_errno(errno, "open the object file " + path);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(errno, "inspect the object file " + path);
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::kInvalid, path + " is not a regular file");
  if (static_cast<uint64_t>(status.st_size) > kMaxFileBytes) {
    return fail(ErrorCode::kTooLarge, "the object file " + path + " is larger than " + std::to_string(kMaxFileBytes >> 20) +
        " MiB");
  }
  std::vector<std::byte> bytes(static_cast<size_t>(status.st_size));
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(fd.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "read the object file " + path);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

std::string sha256_hex(const std::vector<std::byte>& bytes) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
  crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  std::array<char, crypto_hash_sha256_BYTES * 2 + 1> hex{};
  return sodium_bin2hex(hex.data(), hex.size(), digest.data(), digest.size());
}

}  // namespace mapshift
