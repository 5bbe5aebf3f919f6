// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "store/database.h"
#include "store/schema.h"

namespace mapshift::store {
namespace {

constexpr auto kLockRetry = std::chrono::milliseconds(20);

tl::unexpected<Error> unusable(const std::string& folder, int err, std::string_view what) {
  return fail_errno(err, fmt::format("state_dir {}: {}; give this user a writable folder or set another state_dir", folder,
                                     what));
}

Status make_folder(const std::string& folder) {
  std::error_code error;
  const auto parent = std::filesystem::path(folder).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (error) return unusable(folder, error.value(), "cannot create " + parent.string());
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return unusable(folder, errno, "cannot create it");
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0) return unusable(folder, errno, "cannot read it");
  if (!S_ISDIR(info.st_mode)) return unusable(folder, ENOTDIR, "is no folder");
  return {};
}

// Opening the lock file for writing is also the check that the folder can be written.
Result<Fd> take_lock(const std::string& folder, std::chrono::milliseconds patience) {
  const std::string path = folder + "/lock";
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return unusable(folder, errno, "cannot write to it");
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return unusable(folder, errno, "cannot lock it");
    if (std::chrono::steady_clock::now() > deadline)
      return fail(ErrorCode::kConflict, fmt::format("state_dir {}: another agent uses it; stop that one or set another state_dir",
                                                    folder));
    std::this_thread::sleep_for(kLockRetry);
  }
  return fd;
}

}  // namespace

Store::Store(std::string state_dir, const Options& options, Fd lock, Database database)
    : state_dir_(std::move(state_dir)),
      options_(options),
      lock_(std::move(lock)),
      database_(std::make_unique<Database>(std::move(database))) {}

Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(const std::string& state_dir, const Options& options) {
  std::string folder = state_dir;
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  MS_CHECK(make_folder(folder));
  MS_TRY(Fd lock, take_lock(folder, options.lock_patience));
  if (::mkdir((folder + "/objects").c_str(), 0700) != 0 && errno != EEXIST)
    return unusable(folder, errno, "cannot create objects/");
  MS_TRY(Database database, open_database(folder + "/mapshift.db", options.max_bytes));
  return std::unique_ptr<Store>(new Store(std::move(folder), options, std::move(lock), std::move(database)));
}

}  // namespace mapshift::store
