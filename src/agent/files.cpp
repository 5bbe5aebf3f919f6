// SPDX-License-Identifier: Apache-2.0
#include "agent/files.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/fd.h"
#include "base/log.h"

namespace mapshift::agent {

Status make_dirs(const std::string& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) return fail(Error{ErrorCode::kKernel, error.value(), "cannot create the folder " + dir + ": " + error.message(), {}, {}});
  return {};
}

Status prepare_bpffs(const std::string& path) {
  constexpr long kBpffsMagic = 0xcafe4a11;  // BPF_FS_MAGIC of linux/magic.h
  MS_CHECK(make_dirs(path));
  struct statfs where {};
  if (::statfs(path.c_str(), &where) != 0) return fail_errno(errno, "look at bpffs, " + path);
  if (where.f_type != kBpffsMagic) {
    if (::mount("bpf", path.c_str(), "bpf", 0, "mode=0700") != 0) {
      return fail_errno(errno, path + " is no bpffs, and mounting one there failed (mount -t bpf bpf " + path + ")");
    }
    log::info("mounted a bpffs", {{"path", path}});
  }
  return make_dirs(path + "/mapshift");
}

Status write_file(const std::string& path, const std::string& content, unsigned mode) {
  const std::string aside = path + ".new";
  {
    const Fd fd(::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!fd.valid()) return fail_errno(errno, "write " + aside);
    if (::fchmod(fd.get(), mode) != 0) return fail_errno(errno, "set the mode of " + aside);
    size_t done = 0;
    while (done < content.size()) {
      const ssize_t n = ::write(fd.get(), content.data() + done, content.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return fail_errno(errno, "write " + aside);
      done += static_cast<size_t>(n);
    }
  }
  if (std::rename(aside.c_str(), path.c_str()) != 0) return fail_errno(errno, "rename " + aside + " to " + path);
  return {};
}

Result<std::string> read_or_make_token(const std::string& path) {
  if (sodium_init() < 0) return fail(ErrorCode::kInternal, "no source of random numbers");
  std::ifstream file(path);
  if (file) {
    std::string token;
    file >> token;
    if (token.empty()) return fail(ErrorCode::kInvalid, "the token file " + path + " is empty: remove it, and a new one is made");
    return token;
  }
  if (std::filesystem::exists(path)) return fail(ErrorCode::kInvalid, "the token file " + path + " cannot be read");
  MS_CHECK(make_dirs(std::filesystem::path(path).parent_path()));
  std::array<unsigned char, 32> secret{};
  randombytes_buf(secret.data(), secret.size());
  std::array<char, 65> text{};
  sodium_bin2hex(text.data(), text.size(), secret.data(), secret.size());
  MS_CHECK(write_file(path, std::string(text.data()) + "\n", 0600));
  return std::string(text.data());
}

Status write_agent_file(const std::string& run_dir, const std::string& metrics, const std::string& api) {
  std::ostringstream text;
  text << "{\"pid\":" << ::getpid() << ", \"metrics\":\"" << metrics << "\", \"api\":\"" << api << "\"}\n";
  return write_file(run_dir + "/agent.json", text.str(), 0644);
}

}  // namespace mapshift::agent
