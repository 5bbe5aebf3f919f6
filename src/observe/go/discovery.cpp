// SPDX-License-Identifier: Apache-2.0
#include "observe/go/discovery.h"

#include <fnmatch.h>

#include <algorithm>

namespace mapshift::observe::go {
namespace {

// Which file a process runs. One whose executable we may not look at is taken by the first word of its command line, which is
// only its own claim: enough to say that a Go process is there and why it is not captured.
struct Executed {
  std::string open_path, shown_path;
  FileKey key;
  Fd file;
  bool claimed = false;
};

Result<Executed> executed_by(int pid) {
  Executed out{executable_link(pid), {}, {}, {}, false};
  auto key = file_key(out.open_path);
  if (!key && key.error().code == ErrorCode::kUnauthorized) {
    out.open_path = first_argument(pid);
    if (!out.open_path.starts_with('/')) return fail(std::move(key).error());
    out.shown_path = out.open_path;
    out.claimed = true;
    key = file_key(out.open_path);
  }
  if (!key) return fail(std::move(key).error());
  out.key = *key;
  if (!out.claimed) {
    MS_TRY(out.shown_path, executable_path(pid));
  }
  return out;
}

}  // namespace

bool wanted(const std::vector<Filter>& filters, const std::string& path, const std::string& cgroup) {
  return std::ranges::any_of(filters, [&](const Filter& filter) {
    return fnmatch(filter.path.c_str(), path.c_str(), 0) == 0 && fnmatch(filter.cgroup.c_str(), cgroup.c_str(), 0) == 0;
  });
}

// Opens it; kStale when it became another one since it was looked at.
[[nodiscard]] Status open_it(Executed& executed) {
  MS_TRY(executed.file, open_file(executed.open_path));
  MS_TRY(const FileKey opened, file_key(executed.file));
  if (opened != executed.key) return fail(ErrorCode::kStale, executed.open_path + " is another file now");
  return {};
}

Result<std::optional<Found>> identify(int pid, Executables& executables, const std::vector<Filter>& filters) {
  // What nearly every exec of a machine is: one system call.
  if (const auto key = file_key(executable_link(pid)); key && executables.known_not_go(*key)) return std::optional<Found>();
  Found out;
  out.pid = pid;
  auto pidfd = open_pidfd(pid);
  if (!pidfd) return std::optional<Found>();
  out.pidfd = std::move(*pidfd);
  auto file = executed_by(pid);
  const auto ticks = start_ticks(pid);
  if (!file || !ticks) return std::optional<Found>();
  out.start_ticks = *ticks;
  out.path = file->shown_path;
  out.key = file->key;
  out.cgroup = cgroup_of(pid);
  if (!wanted(filters, out.path, out.cgroup)) return std::optional<Found>();
  if (Status opened = open_it(*file); !opened) {
    if (opened.error().code == ErrorCode::kStale) return fail(std::move(opened).error());
    return std::optional<Found>();
  }
  out.file = std::make_shared<const Fd>(std::move(file->file));
  out.executable = executables.look(*out.file, out.key);
  if (!out.executable->is_go) return std::optional<Found>();
  if (file->claimed) return std::optional<Found>(std::move(out));
  const auto image = image_of(pid);
  if (image) out.image = *image;
  // In the middle of an exec there is none.
  if (!image && image.error().code != ErrorCode::kUnauthorized) return fail(ErrorCode::kStale, image.error().message);
  // The image belongs to the file if the file is still the one: an exec in between changes one or the other later.
  const auto again = file_key(file->open_path);
  if (!again || *again != out.key) return fail(ErrorCode::kStale, "process " + std::to_string(pid) + " runs another program now");
  return std::optional<Found>(std::move(out));
}

}  // namespace mapshift::observe::go
