// SPDX-License-Identifier: Apache-2.0
#include "kernel/map_holders.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>
#include <string_view>

#include "base/fd.h"

namespace mapshift {
namespace {

constexpr size_t kMaxDescriptors = 1'000'000;  // looked at in one call
constexpr size_t kMaxInfo = 4096;              // bytes of one fdinfo file; a map's has some 200

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

std::optional<int> pid_of(std::string_view name) {
  int pid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  return error == std::errc{} && end == name.data() + name.size() && pid > 0 ? std::optional(pid) : std::nullopt;
}

std::string read_small(const std::string& path, size_t most) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return {};
  std::string out(most, '\0');
  const ssize_t got = ::read(fd.get(), out.data(), out.size());
  out.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return out;
}

std::optional<uint32_t> map_id_in(std::string_view info) {
  constexpr std::string_view kName = "map_id:";
  size_t at = info.starts_with(kName) ? 0 : info.find("\nmap_id:");
  if (at == std::string_view::npos) return std::nullopt;
  at = info.find(':', at) + 1;
  while (at < info.size() && (info[at] == ' ' || info[at] == '\t')) ++at;
  uint32_t id = 0;
  const auto [end, error] = std::from_chars(info.data() + at, info.data() + info.size(), id);
  return error == std::errc{} ? std::optional(id) : std::nullopt;
}

bool is_map(const std::string& link) {
  std::array<char, 64> target{};
  const ssize_t got = ::readlink(link.c_str(), target.data(), target.size());
  return got > 0 && std::string_view(target.data(), static_cast<size_t>(got)).find("bpf-map") != std::string_view::npos;
}

class Search {
 public:
  Search(const std::set<uint32_t>& ids, const std::string& proc) : ids_(ids), proc_(proc) {}

  void run() {
    const Dir all(::opendir(proc_.c_str()));
    if (!all) {
      found.complete = false;
      return;
    }
    while (const dirent* entry = ::readdir(all.get())) {
      const auto pid = pid_of(entry->d_name);
      if (pid && *pid != ::getpid()) look_at(*pid);
    }
  }

  MapHolders found = {};

 private:
  void look_at(int pid) {
    const std::string process = proc_ + "/" + std::to_string(pid);
    const Dir descriptors(::opendir((process + "/fd").c_str()));
    if (!descriptors) {
      if (errno != ENOENT && errno != ESRCH) found.complete = false;  // it has ended: it holds nothing
      return;
    }
    std::set<uint32_t> held;
    while (const dirent* entry = ::readdir(descriptors.get())) {
      const std::string name = entry->d_name;
      if (name.front() == '.') continue;
      if (++looked_at_ > kMaxDescriptors) {
        found.complete = false;
        break;
      }
      if (!is_map(process + "/fd/" + name)) continue;
      const auto id = map_id_in(read_small(process + "/fdinfo/" + name, kMaxInfo));
      if (id && ids_.contains(*id)) held.insert(*id);
    }
    if (held.empty()) return;
    std::string comm = read_small(process + "/comm", 64);
    if (!comm.empty() && comm.back() == '\n') comm.pop_back();
    for (char& c : comm)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';  // it ends on terminals
    for (const uint32_t id : held) found.by_map[id].push_back({pid, comm});
  }

  const std::set<uint32_t>& ids_;
  const std::string& proc_;
  size_t looked_at_ = 0;
};

}  // namespace

MapHolders map_holders(const std::set<uint32_t>& ids, const std::string& proc) {
  if (ids.empty()) return {};
  Search search(ids, proc);
  search.run();
  return std::move(search.found);
}

}  // namespace mapshift
