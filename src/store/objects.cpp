// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "store/database.h"
#include "store/store.h"

namespace mapshift::store {
namespace {

constexpr int64_t kMaxObjectBytes = 64LL << 20;
constexpr std::string_view kSuffix = ".bpf.o";
constexpr std::string_view kAside = ".incoming-";

bool is_digest(std::string_view text) {
  return text.size() == 2 * crypto_hash_sha256_BYTES &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Result<Fd> open_source(const std::string& path) {
  // O_NONBLOCK: a FIFO in place of the file must not hang the agent.
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return fail_errno(errno, "open object " + path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno(errno, "stat object " + path);
  if (!S_ISREG(info.st_mode)) return fail(ErrorCode::kInvalid, path + " is no regular file");
  return fd;
}

Status write_all(int fd, const unsigned char* data, size_t size) {
  while (size > 0) {
    const ssize_t written = ::write(fd, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno(errno, "write");
    data += written;
    size -= static_cast<size_t>(written);
  }
  return {};
}

// Gives the hex SHA-256 of what was copied.
Result<std::string> copy(int from, int to) {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  std::vector<unsigned char> buffer(256 * 1024);
  for (int64_t total = 0;;) {
    const ssize_t got = ::read(from, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "read");
    if (got == 0) break;
    total += got;
    if (total > kMaxObjectBytes) return fail(ErrorCode::kTooLarge, fmt::format("larger than {} MiB", kMaxObjectBytes >> 20));
    crypto_hash_sha256_update(&state, buffer.data(), static_cast<unsigned long long>(got));
    MS_CHECK(write_all(to, buffer.data(), static_cast<size_t>(got)));
  }
  std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
  crypto_hash_sha256_final(&state, digest.data());
  std::string hex(2 * digest.size() + 1, '\0');
  sodium_bin2hex(hex.data(), hex.size(), digest.data(), digest.size());
  hex.pop_back();
  return hex;
}

Status sync_folder(const std::string& folder) {
  const Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return fail_errno(errno, "sync " + folder);
  return {};
}

// Fills `aside` with the source's content, on disk, when that is what `digest` says.
Status fill(const std::string& source_path, const std::string& aside, const std::string& digest) {
  MS_TRY(const Fd source, open_source(source_path));
  const Fd target(::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!target.valid()) return fail_errno(errno, "create " + aside);
  auto copied = copy(source.get(), target.get());
  if (!copied) {
    Error error = std::move(copied).error();
    error.message = fmt::format("copy object {} to {}: {}", source_path, aside, error.message);
    return fail(std::move(error));
  }
  if (*copied != digest)
    return fail(ErrorCode::kInvalid, fmt::format("object {} changed while it was read (SHA-256 is {}, was {}); try again",
                                                 source_path, *copied, digest));
  if (::fsync(target.get()) != 0) return fail_errno(errno, "sync " + aside);
  return {};
}

}  // namespace

Result<std::string> Store::keep_object(const std::string& source_path, const std::string& digest) {
  if (!is_digest(digest)) return fail(ErrorCode::kInvalid, "\"" + digest + "\" is no SHA-256 in lower-case hex");
  if (sodium_init() < 0) return fail(ErrorCode::kInternal, "libsodium did not start");
  const std::lock_guard lock(mutex_);
  const std::string aside = fmt::format("{}/{}{}", objects_dir(), kAside, digest);
  const std::string target = fmt::format("{}/{}{}", objects_dir(), digest, kSuffix);
  Status status = fill(source_path, aside, digest);
  if (status && ::rename(aside.c_str(), target.c_str()) != 0) status = fail_errno(errno, "rename " + aside);
  if (!status) {
    ::unlink(aside.c_str());
    return fail(std::move(status).error());
  }
  MS_CHECK(sync_folder(objects_dir()));
  fresh_.insert(digest);
  return target;
}

Result<std::set<std::string>> Store::referenced_digests() {
  MS_TRY(Statement row, database_->query("SELECT digest FROM modules UNION SELECT digest FROM generations "
                                         "UNION SELECT digest FROM updates WHERE final = 0"));
  std::set<std::string> out = fresh_;
  while (true) {
    MS_TRY(const bool found, row.step());
    if (!found) return out;
    out.insert(row.text(0));
  }
}

Status Store::prune_objects() {
  const std::lock_guard lock(mutex_);
  MS_TRY(const auto referenced, referenced_digests());
  std::error_code error;
  std::filesystem::directory_iterator entries(objects_dir(), error);
  if (error) return fail_errno(error.value(), "list " + objects_dir());
  for (const auto& entry : entries) {
    const std::string name = entry.path().filename();
    // Left by a copy that a crash cut off: no copy is under way while the lock is held.
    const bool aside = name.starts_with(kAside);
    const bool object = name.ends_with(kSuffix) && is_digest(std::string_view(name).substr(0, name.size() - kSuffix.size()));
    if (!aside && (!object || referenced.contains(name.substr(0, name.size() - kSuffix.size())))) continue;
    if (::unlink(entry.path().c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "remove " + entry.path().string());
  }
  return {};
}

}  // namespace mapshift::store
