// SPDX-License-Identifier: Apache-2.0
#include "kernel/pin.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <memory>

namespace mapshift {
namespace {

constexpr long kBpfFsMagic = 0xcafe4a11;  // linux/magic.h: BPF_FS_MAGIC
constexpr int kMaxDepth = 16;             // of folders below a generation or module

std::string parent_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

struct Entry {
  std::string name;
  bool is_dir = false;
};

Result<std::vector<Entry>> read_dir(const std::string& dir) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(dir.c_str()), ::closedir);
  if (!open) {
    if (errno == ENOENT) return std::vector<Entry>{};
    return fail_errno(errno, "list " + dir);
  }
  std::vector<Entry> entries;
  while (const dirent* found = ::readdir(open.get())) {
    const std::string name = found->d_name;
    if (name == "." || name == "..") continue;
    struct stat status {};
    if (::lstat((dir + "/" + name).c_str(), &status) != 0) continue;  // gone meanwhile
    entries.push_back({name, S_ISDIR(status.st_mode)});
  }
  return entries;
}

void keep_first(Status& first, Status next) {
  if (first && !next) first = std::move(next);
}

Status remove_below(const std::string& dir, int depth) {
  if (depth > kMaxDepth) return fail(ErrorCode::kTooLarge, dir + " is nested deeper than any layout of ours; remove it by hand");
  MS_TRY(const auto entries, read_dir(dir));
  Status first;
  for (const auto& entry : entries) {
    const std::string path = dir + "/" + entry.name;
    keep_first(first, entry.is_dir ? remove_below(path, depth + 1) : unpin(path));
  }
  if (::rmdir(dir.c_str()) != 0 && errno != ENOENT) keep_first(first, fail_errno(errno, "remove " + dir));
  return first;
}

}  // namespace

bool is_pin_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxPinName && std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

Result<Fd> open_pin(const std::string& path) {
  Fd fd(bpf_obj_get(path.c_str()));
  if (fd.valid()) return fd;
  if (errno == ENOENT) return fail(Error{ErrorCode::kNotFound, ENOENT, "nothing is pinned at " + path, {}, {}});
  return fail_errno(errno, "open the pin " + path);
}

Status pin(int fd, const std::string& path) {
  MS_CHECK(make_pin_dir(parent_of(path)));
  if (bpf_obj_pin(fd, path.c_str()) == 0) return {};
  if (errno == EEXIST) return fail(Error{ErrorCode::kConflict, EEXIST, path + " is pinned already", {}, {}});
  return fail_errno(errno, "pin " + path);
}

Status replace_pin(int fd, const std::string& published) {
  const std::string aside = published + "~";
  MS_CHECK(unpin(aside));  // of an attempt that died
  MS_CHECK(pin(fd, aside));
  if (::rename(aside.c_str(), published.c_str()) == 0) return {};
  const int err = errno;
  ::unlink(aside.c_str());
  return fail_errno(err, "publish " + published);
}

Status unpin(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return fail_errno(errno, "remove the pin " + path);
}

bool pin_exists(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

Status make_pin_dir(const std::string& dir) {
  struct stat status {};
  if (::stat(dir.c_str(), &status) == 0) {
    struct statfs fs {};
    if (::statfs(dir.c_str(), &fs) != 0) return fail_errno(errno, "inspect " + dir);
    if (fs.f_type == kBpfFsMagic) return {};
    return fail(ErrorCode::kInvalid, dir + " is not on a BPF file system; mount one (mount -t bpf bpf " + dir +
        ") or set \"bpffs\"");
  }
  if (errno != ENOENT) return fail_errno(errno, "inspect " + dir);
  MS_CHECK(make_pin_dir(parent_of(dir)));
  if (::mkdir(dir.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return fail_errno(errno, "make the folder " + dir);
}

Status remove_pins(const std::string& dir) {
  if (!pin_exists(dir)) return {};
  return remove_below(dir, 0);
}

Result<std::vector<std::string>> list_pins(const std::string& dir) {
  MS_TRY(const auto entries, read_dir(dir));
  std::vector<std::string> names;
  for (const auto& entry : entries) {
    if (!entry.name.ends_with('~')) names.push_back(entry.name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

PinGuard::~PinGuard() {
  for (auto undo = undo_.rbegin(); undo != undo_.rend(); ++undo) {
    // A failure here has no one to report to; the next remove_tree of the folder meets it again. Folders go only when
    // they are empty: another module may have moved into a shared one meanwhile.
    if (undo->is_dir) {
      (void)::rmdir(undo->path.c_str());
    } else {
      (void)unpin(undo->path);
    }
  }
}

Status PinGuard::dir(const std::string& path) {
  std::vector<std::string> missing;
  for (std::string at = path; !pin_exists(at); at = parent_of(at)) missing.push_back(at);
  for (auto at = missing.rbegin(); at != missing.rend(); ++at) undo_.push_back({true, *at});
  return make_pin_dir(path);
}

Status PinGuard::pin(int fd, const std::string& path) {
  MS_CHECK(dir(parent_of(path)));
  MS_CHECK(mapshift::pin(fd, path));
  undo_.push_back({false, path});
  return {};
}

}  // namespace mapshift
