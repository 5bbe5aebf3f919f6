// SPDX-License-Identifier: Apache-2.0
#include "observe/go/procfs.h"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>
#include <memory>

namespace mapshift::observe::go {
namespace {

constexpr size_t kMaxProcFile = 16 * 1024;

std::string proc(int pid, const char* name) { return "/proc/" + std::to_string(pid) + "/" + name; }

tl::unexpected<Error> proc_failed(int err, const std::string& path) {
  auto error = fail_errno(err, path);
  if (err == ENOENT || err == ESRCH) error.value().code = ErrorCode::kNotFound;
  if (err == EACCES || err == EPERM) error.value().code = ErrorCode::kUnauthorized;
  return error;
}

Result<std::string> read_file(const std::string& path) {
  MS_TRY(const Fd fd, open_file(path));
  std::string out(kMaxProcFile, '\0');
  size_t used = 0;
  while (used < out.size()) {
    const ssize_t got = ::read(fd.get(), out.data() + used, out.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return proc_failed(errno, path);
    if (got == 0) break;
    used += static_cast<size_t>(got);
  }
  out.resize(used);
  return out;
}

int64_t nanoseconds(const statx_timestamp& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

Result<FileKey> key_at(int folder, const char* path, int flags, const std::string& what) {
  struct statx info{};
  if (statx(folder, path, AT_STATX_DONT_SYNC | flags, STATX_TYPE | STATX_INO | STATX_SIZE | STATX_MTIME | STATX_CTIME, &info) != 0)
    return proc_failed(errno, what);
  if (!S_ISREG(info.stx_mode)) return fail(ErrorCode::kInvalid, what + " is no regular file");
  return FileKey{makedev(info.stx_dev_major, info.stx_dev_minor), info.stx_ino, info.stx_size,
                 nanoseconds(info.stx_mtime), nanoseconds(info.stx_ctime)};
}

template <class Number>
bool parse(std::string_view text, Number& out) {
  const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), out);
  return err == std::errc() && end == text.data() + text.size();
}

}  // namespace

bool in_first_pid_namespace() {
  static constexpr ino_t kFirst = 0xEFFFFFFC;  // PROC_PID_INIT_INO of include/linux/proc_ns.h
  struct stat info{};
  return stat("/proc/self/ns/pid", &info) == 0 && info.st_ino == kFirst;
}

std::vector<int> all_pids() {
  std::vector<int> out;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir("/proc"), closedir);
  if (!dir) return out;
  while (const dirent* entry = readdir(dir.get())) {
    int pid = 0;
    if (parse(std::string_view(entry->d_name), pid) && pid > 0) out.push_back(pid);
  }
  return out;
}

Result<uint64_t> start_ticks(int pid) {
  const std::string path = proc(pid, "stat");
  MS_TRY(const std::string text, read_file(path));
  // The second field is the command's name in parentheses and may itself contain spaces and parentheses.
  size_t at = text.rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = text.find(' ', at + 1);
  uint64_t ticks = 0;
  if (at == std::string::npos || !parse(std::string_view(text).substr(at + 1, text.find(' ', at + 1) - at - 1), ticks))
    return fail(ErrorCode::kInvalid, path + " has no start time");
  return ticks;
}

std::string executable_link(int pid) { return proc(pid, "exe"); }

Result<std::string> executable_path(int pid) {
  std::array<char, PATH_MAX> path{};
  const std::string link = executable_link(pid);
  const ssize_t size = readlink(link.c_str(), path.data(), path.size());
  if (size < 0) return proc_failed(errno, link);
  std::string out(path.data(), static_cast<size_t>(size));
  static constexpr std::string_view kDeleted = " (deleted)";
  if (out.ends_with(kDeleted)) out.resize(out.size() - kDeleted.size());
  return out;
}

Result<FileKey> file_key(const std::string& path) { return key_at(AT_FDCWD, path.c_str(), 0, path); }

Result<FileKey> file_key(const Fd& fd) { return key_at(fd.get(), "", AT_EMPTY_PATH, "the executable"); }

Result<Fd> open_file(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd.valid()) return proc_failed(errno, path);
  return fd;
}

std::string cgroup_of(int pid) {
  const auto text = read_file(proc(pid, "cgroup"));
  if (!text) return "/";
  // "0::/path" is the unified hierarchy; without it the first line's "N:controllers:/path".
  size_t line = text->starts_with("0::") ? 0 : text->find("\n0::");
  line = line == std::string::npos ? 0 : line + ((*text)[line] == '\n' ? 1 : 0);
  const size_t path = text->find(":/", line);
  const size_t end = std::min(text->find('\n', line), text->size());
  return path == std::string::npos || path > end ? "/" : text->substr(path + 1, end - path - 1);
}

std::string first_argument(int pid) {
  const auto text = read_file(proc(pid, "cmdline"));
  return text ? text->substr(0, std::min(text->find('\0'), text->size())) : std::string();
}

Result<Image> image_of(int pid) {
  MS_TRY(const std::string bytes, read_file(proc(pid, "auxv")));
  Image out;
  out.fingerprint = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : bytes) out.fingerprint = (out.fingerprint ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  for (size_t at = 0; at + sizeof(Elf64_auxv_t) <= bytes.size(); at += sizeof(Elf64_auxv_t)) {
    Elf64_auxv_t entry{};
    std::memcpy(&entry, bytes.data() + at, sizeof(entry));
    if (entry.a_type == AT_NULL) break;
    if (entry.a_type == AT_ENTRY) out.entry = entry.a_un.a_val;
  }
  return out;
}

Result<uint64_t> load_bias(const Image& image, int executable_fd) {
  Elf64_Ehdr header{};
  if (pread(executable_fd, &header, sizeof(header), 0) != sizeof(header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    return fail(ErrorCode::kInvalid, "the executable has no ELF header");
  if (image.entry == 0) return fail(ErrorCode::kNotFound, "the process has no program yet");
  const uint64_t bias = image.entry - header.e_entry;
  static constexpr uint64_t kPage = 4096;
  if (bias % kPage != 0 || (header.e_type == ET_EXEC && bias != 0))
    return fail(ErrorCode::kUnsupported, "the process does not run its executable as it is linked: its entry point lies elsewhere");
  return bias;
}

Result<Fd> open_pidfd(int pid) {
  // No wrapper before glibc 2.36; pidfd_open is there since Linux 5.3, close-on-exec by itself.
  Fd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!fd.valid()) return proc_failed(errno, "pidfd of process " + std::to_string(pid));
  return fd;
}

bool has_ended(const Fd& pidfd) {
  pollfd entry{pidfd.get(), POLLIN, 0};
  return poll(&entry, 1, 0) > 0;
}

}  // namespace mapshift::observe::go
