// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

// What /proc tells of a process, as the agent's pid namespace sees it. Everything may fail at any instant: the process ends.
// kNotFound: gone, or a kernel thread where an executable is asked for; kUnauthorized: the kernel does not let us.
namespace mapshift::observe::go {

// A file as it was when it was looked at. Another build in its place may have the same inode (numbers are used again), size and
// time of modification (image builders set it to a constant), but not the time of change, which nobody can set.
struct FileKey {
  uint64_t device = 0, inode = 0, size = 0;
  int64_t modified_ns = 0, changed_ns = 0;
  auto operator<=>(const FileKey&) const = default;
};

// The kernel's own numbers of processes, those that BPF programs see, are ours.
[[nodiscard]] bool in_first_pid_namespace();
[[nodiscard]] std::vector<int> all_pids();
// Field 22 of /proc/PID/stat.
[[nodiscard]] Result<uint64_t> start_ticks(int pid);
[[nodiscard]] std::string executable_link(int pid);  // "/proc/PID/exe": opens the running file even when it was replaced
// The path as the process sees it, without the kernel's " (deleted)".
[[nodiscard]] Result<std::string> executable_path(int pid);
// Asks no remote file system: what the kernel has in its cache.
[[nodiscard]] Result<FileKey> file_key(const std::string& path);
[[nodiscard]] Result<FileKey> file_key(const Fd& fd);
[[nodiscard]] Result<Fd> open_file(const std::string& path);
// Of the unified hierarchy, else of the first one; "/" when it cannot be told.
[[nodiscard]] std::string cgroup_of(int pid);
// The first word of the command line, for processes whose executable we may not open.
[[nodiscard]] std::string first_argument(int pid);

// The auxiliary vector. With randomised addresses its bytes differ after each exec: pid and start time do not.
struct Image {
  uint64_t entry = 0;        // where the program itself starts; 0 while there is none
  uint64_t fingerprint = 0;  // of all of it
  bool operator==(const Image&) const = default;
};
[[nodiscard]] Result<Image> image_of(int pid);
// What to add to an address as linked: the entry point in memory less the one in the file.
[[nodiscard]] Result<uint64_t> load_bias(const Image& image, int executable_fd);

// Readable in poll() when the whole process has ended, and so a proof that a pid still means the same process.
[[nodiscard]] Result<Fd> open_pidfd(int pid);
[[nodiscard]] bool has_ended(const Fd& pidfd);

}  // namespace mapshift::observe::go
