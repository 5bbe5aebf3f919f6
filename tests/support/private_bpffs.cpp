// SPDX-License-Identifier: Apache-2.0
#include "private_bpffs.h"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace mapshift::test {
namespace {

// Once a process: a second namespace would hide nothing more.
std::string own_mounts() {
  static const std::string problem = [] {
    if (::unshare(CLONE_NEWNS) != 0) return std::string("unshare mounts: ") + std::strerror(errno);
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      return std::string("make mounts private: ") + std::strerror(errno);
    }
    return std::string();
  }();
  return problem;
}

}  // namespace

PrivateBpffs::PrivateBpffs() : problem_(own_mounts()) {
  if (!problem_.empty()) return;
  std::string pattern = (std::filesystem::temp_directory_path() / "mapshift-bpffs-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    problem_ = std::string("make a folder: ") + std::strerror(errno);
    return;
  }
  path_ = pattern;
  if (::mount("bpf", path_.c_str(), "bpf", 0, nullptr) != 0) problem_ = std::string("mount bpffs: ") + std::strerror(errno);
}

PrivateBpffs::~PrivateBpffs() {
  if (path_.empty()) return;
  ::umount2(path_.c_str(), MNT_DETACH);
  ::rmdir(path_.c_str());
}

std::vector<std::string> PrivateBpffs::listing() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path_)) {
    if (entry.path().extension() == ".debug") continue;  // the kernel's own: maps.debug, progs.debug
    names.push_back(entry.path().string().substr(path_.size()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace mapshift::test
