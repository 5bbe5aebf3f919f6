// SPDX-License-Identifier: Apache-2.0
#include "observe/go/executable.h"

#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

namespace mapshift::observe::go {
namespace {

constexpr size_t kMaxSections = 4096, kMaxNames = 1024 * 1024;

bool read_at(int fd, uint64_t offset, void* to, size_t size) {
  return offset < (uint64_t{1} << 62) && pread(fd, to, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
}

Executable examine(int fd) {
  Executable out;
  out.is_go = has_go_section(fd);
  if (!out.is_go) return out;
  auto binary = analyse(fd);
  if (binary) {
    out.binary = std::make_shared<const Binary>(std::move(*binary));
  } else {
    out.refusal = binary.error().message;
  }
  return out;
}

std::string hex(uint64_t value) {
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(value));
  return text.data();
}

}  // namespace

bool has_go_section(int fd) {
  Elf64_Ehdr header{};
  if (!read_at(fd, 0, &header, sizeof(header)) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return false;
  // A 32-bit one is left to the analysis, which says so; it has the same first 16 bytes only.
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_shentsize != sizeof(Elf64_Shdr)) return false;
  if (header.e_shnum == 0 || header.e_shnum > kMaxSections || header.e_shstrndx >= header.e_shnum) return false;
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  if (!read_at(fd, header.e_shoff, sections.data(), sections.size() * sizeof(Elf64_Shdr))) return false;
  const Elf64_Shdr& strings = sections[header.e_shstrndx];
  if (strings.sh_size > kMaxNames) return false;
  std::string names(strings.sh_size, '\0');
  if (!read_at(fd, strings.sh_offset, names.data(), names.size())) return false;
  static constexpr std::string_view kSection(".go.buildinfo\0", 14);
  return std::ranges::any_of(sections, [&names](const Elf64_Shdr& section) {
    return section.sh_name < names.size() && std::string_view(names).substr(section.sh_name).starts_with(kSection);
  });
}

bool is_system_function(std::string_view name) {
  return name.starts_with("runtime.") && name != "runtime.main" && name != "runtime.corostart" && name != "runtime.handleAsyncEvent";
}

void StartNames::learn(const std::vector<uint64_t>& addresses, const Fd& executable) {
  {
    const std::scoped_lock lock(mutex_);
    if (unreadable_ || known_.size() >= kMost || std::ranges::all_of(addresses, [this](uint64_t a) { return known_.contains(a); })) return;
  }
  const auto names = FunctionNames::read(executable.get());
  const std::scoped_lock lock(mutex_);
  unreadable_ = !names;
  for (const uint64_t address : addresses) {
    if (!names || known_.size() >= kMost) return;
    const auto name = names->at(address);
    known_[address] = name ? Name{*name, is_system_function(*name)} : Name{hex(address), false};
  }
}

StartNames::Name StartNames::at(uint64_t address) const {
  const std::scoped_lock lock(mutex_);
  const auto found = known_.find(address);
  return found == known_.end() ? Name{hex(address), false} : found->second;
}

bool StartNames::unreadable() const {
  const std::scoped_lock lock(mutex_);
  return unreadable_;
}

bool Executables::known_not_go(const FileKey& key) {
  const std::scoped_lock lock(mutex_);
  const auto found = known_.find(key);
  return found != known_.end() && !found->second->is_go;
}

std::shared_ptr<const Executable> Executables::look(const Fd& file, const FileKey& key) {
  {
    const std::scoped_lock lock(mutex_);
    if (const auto found = known_.find(key); found != known_.end()) return found->second;
  }
  const auto made = std::make_shared<const Executable>(examine(file.get()));
  const std::scoped_lock lock(mutex_);
  if (known_.emplace(key, made).second) order_.push_back(key);
  for (; order_.size() > kMost; order_.pop_front()) known_.erase(order_.front());
  return made;
}

}  // namespace mapshift::observe::go
