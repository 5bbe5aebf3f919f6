// SPDX-License-Identifier: Apache-2.0
#include "kernel/user_elf.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace mapshift {
namespace {

constexpr uint32_t kMaxSegments = 512;
constexpr uint32_t kMaxSections = 65536;
constexpr uint64_t kMaxSymbols = 1u << 24;
constexpr uint64_t kMaxStrings = 256u << 20;
constexpr uint64_t kMaxNotes = 16u << 20;
constexpr size_t kMaxName = 4096;
constexpr size_t kMaxFunctions = 4096;
constexpr size_t kSymbolsAtOnce = 4096;

std::string_view string_at(const std::string& table, uint64_t offset) {
  if (offset >= table.size()) return {};
  const size_t longest = std::min<size_t>(table.size() - offset, kMaxName);
  return std::string_view(table.data() + offset, ::strnlen(table.data() + offset, longest));
}

uint64_t align4(uint64_t size) { return (size + 3) & ~uint64_t{3}; }

}  // namespace

bool matches_pattern(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, retry = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++retry;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Error UserElf::damaged(const std::string& what) const { return Error{ErrorCode::kInvalid, 0, path_ + " is a damaged ELF file: " + what, {}, {}}; }

Result<UserElf> UserElf::open(const std::string& path) {
  // Not blocking: the path of a pipe must not hold us up.
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return fail(Error{ErrorCode::kNotFound, errno, "cannot open the executable " + path + ": " + std::strerror(errno), {}, {}});
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(errno, "inspect " + path);
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::kInvalid, path + " is not a regular file, so no probe can be put into it");
  UserElf elf(std::move(fd), path);
  elf.size_ = static_cast<uint64_t>(status.st_size);
  MS_CHECK(elf.read_header());
  return elf;
}

Status UserElf::read(uint64_t offset, void* out, uint64_t size) const {
  if (offset > size_ || size_ - offset < size) return fail(damaged("something lies beyond its end"));
  auto* to = static_cast<char*>(out);
  while (size > 0) {
    const ssize_t got = ::pread(fd_.get(), to, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return fail(damaged("it ends early"));
    to += got;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<uint64_t>(got);
  }
  return {};
}

Status UserElf::read_header() {
  Elf64_Ehdr header{};
  if (size_ < sizeof(header)) return fail(ErrorCode::kUnsupported, path_ + " is no ELF program");
  MS_CHECK(read(0, &header, sizeof(header)));
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return fail(ErrorCode::kUnsupported, path_ + " is no ELF program: a script has no functions of its own, give its interpreter");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB) {
    return fail(ErrorCode::kUnsupported, path_ + " is not a 64-bit little-endian program");
  }
  if (header.e_type != ET_EXEC && header.e_type != ET_DYN) return fail(ErrorCode::kUnsupported, path_ + " is neither an executable nor a shared library");
  machine_ = header.e_machine;
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > kMaxSegments) return fail(damaged("its segments"));
  MS_CHECK(read_sections(header.e_shoff, header.e_shentsize == sizeof(Elf64_Shdr) ? header.e_shnum : 0, header.e_shstrndx));
  return read_segments(header.e_phoff, header.e_phnum);
}

Status UserElf::read_segments(uint64_t offset, uint32_t count) {
  std::vector<Elf64_Phdr> headers(count);
  MS_CHECK(read(offset, headers.data(), count * sizeof(Elf64_Phdr)));
  for (const Elf64_Phdr& header : headers) {
    if (header.p_type == PT_NOTE) look_for_go_note(header.p_offset, header.p_filesz);
    if (header.p_type != PT_LOAD) continue;
    if (header.p_offset > size_ || size_ - header.p_offset < header.p_filesz) return fail(damaged("a segment lies beyond its end"));
    segments_.push_back({header.p_offset, header.p_vaddr, header.p_filesz, (header.p_flags & PF_X) != 0});
  }
  return {};
}

Status UserElf::read_sections(uint64_t offset, uint32_t count, uint32_t names) {
  if (count == 0 || count > kMaxSections) return {};
  std::vector<Elf64_Shdr> headers(count);
  MS_CHECK(read(offset, headers.data(), count * sizeof(Elf64_Shdr)));
  for (const Elf64_Shdr& header : headers) {
    sections_.push_back({{}, header.sh_addr, header.sh_offset, header.sh_size, header.sh_type, header.sh_link});
  }
  if (names >= sections_.size()) return {};
  MS_TRY(const std::string strings, text(sections_[names], kMaxNotes));
  for (size_t i = 0; i < headers.size(); ++i) sections_[i].name = string_at(strings, headers[i].sh_name);
  go_ = section(".go.buildinfo") != nullptr || section(".note.go.buildid") != nullptr;
  return {};
}

// What is left of a Go program when its section headers were stripped.
void UserElf::look_for_go_note(uint64_t offset, uint64_t size) {
  Elf64_Nhdr note{};
  char owner[4] = {};
  if (size < sizeof(note) + sizeof(owner) || !read(offset, &note, sizeof(note))) return;
  if (note.n_namesz != sizeof(owner) || note.n_type != 4 || !read(offset + sizeof(note), owner, sizeof(owner))) return;
  go_ = go_ || std::memcmp(owner, "Go\0\0", sizeof(owner)) == 0;
}

Result<std::string> UserElf::text(const Section& section, uint64_t limit) const {
  if (section.type == SHT_NOBITS) return std::string();
  if (section.size > limit) return fail(ErrorCode::kTooLarge, path_ + " has a section of " + std::to_string(section.size) + " bytes, more than is read");
  if (section.offset > size_ || size_ - section.offset < section.size) return fail(damaged("a section lies beyond its end"));
  std::string out(section.size, '\0');
  MS_CHECK(read(section.offset, out.data(), out.size()));
  return out;
}

const UserElf::Section* UserElf::section(std::string_view name) const {
  const auto found = std::ranges::find(sections_, name, &Section::name);
  return found == sections_.end() ? nullptr : &*found;
}

std::optional<uint64_t> UserElf::file_offset(uint64_t address, bool executable) const {
  for (const Segment& segment : segments_) {
    if (executable && !segment.executable) continue;
    if (address >= segment.address && address - segment.address < segment.size) return segment.offset + (address - segment.address);
  }
  return std::nullopt;
}

bool UserElf::holds_code(uint64_t file_offset) const {
  return std::ranges::any_of(segments_, [&](const Segment& segment) {
    return segment.executable && file_offset >= segment.offset && file_offset - segment.offset < segment.size;
  });
}

Status UserElf::functions_of(const Section& table, const std::function<bool(std::string_view)>& wanted, std::vector<UserFunction>& out) const {
  if (table.link >= sections_.size() || table.size / sizeof(Elf64_Sym) > kMaxSymbols) return fail(damaged("its table of symbols"));
  MS_TRY(const std::string strings, text(sections_[table.link], kMaxStrings));
  std::vector<Elf64_Sym> symbols;
  const uint64_t count = table.size / sizeof(Elf64_Sym);
  for (uint64_t first = 0; first < count; first += symbols.size()) {
    symbols.resize(std::min<uint64_t>(kSymbolsAtOnce, count - first));
    MS_CHECK(read(table.offset + first * sizeof(Elf64_Sym), symbols.data(), symbols.size() * sizeof(Elf64_Sym)));
    for (const Elf64_Sym& symbol : symbols) {
      const unsigned type = ELF64_ST_TYPE(symbol.st_info);
      if ((type != STT_FUNC && type != STT_GNU_IFUNC) || symbol.st_shndx == SHN_UNDEF) continue;
      std::string_view name = string_at(strings, symbol.st_name);
      name = name.substr(0, name.find('@'));  // "read@@GLIBC_2.2.5"
      if (name.empty() || !wanted(name)) continue;
      const auto offset = file_offset(symbol.st_value, true);
      if (!offset) continue;
      if (out.size() == kMaxFunctions) return fail(ErrorCode::kTooLarge, path_ + " has more than " + std::to_string(kMaxFunctions) + " functions of such names");
      out.push_back({std::string(name), *offset, ELF64_ST_BIND(symbol.st_info) != STB_LOCAL, type == STT_GNU_IFUNC});
    }
  }
  return {};
}

Result<std::vector<UserFunction>> UserElf::functions(const std::function<bool(std::string_view)>& wanted) const {
  std::vector<UserFunction> out;
  for (const uint32_t type : {uint32_t{SHT_SYMTAB}, uint32_t{SHT_DYNSYM}}) {  // a file has one of each at most
    const auto table = std::ranges::find(sections_, type, &Section::type);
    if (table != sections_.end()) MS_CHECK(functions_of(*table, wanted, out));
  }
  return out;
}

Result<uint64_t> UserElf::function_offset(const std::string& symbol) const {
  MS_TRY(std::vector<UserFunction> found, functions([&](std::string_view name) { return name == symbol; }));
  if (found.empty()) {
    return fail(ErrorCode::kNotFound, path_ + " has no function \"" + symbol + "\" in its tables of symbols; was it stripped? An \"offset\" into the file does without");
  }
  if (std::ranges::any_of(found, &UserFunction::resolver)) {
    return fail(ErrorCode::kInvalid, "\"" + symbol + "\" of " + path_ + " only chooses, when a process starts, which function is called (an IFUNC): name that function");
  }
  if (std::ranges::any_of(found, &UserFunction::global)) std::erase_if(found, [](const UserFunction& f) { return !f.global; });
  const bool several = std::ranges::any_of(found, [&](const UserFunction& f) { return f.offset != found.front().offset; });
  if (!several) return found.front().offset;
  return fail(ErrorCode::kInvalid, path_ + " has " + std::to_string(found.size()) + " functions called \"" + symbol + "\"; give the \"offset\" of one of them into the file, such as " +
                                       std::to_string(found.front().offset));
}

Result<std::vector<UsdtNote>> UserElf::usdt(const std::string& provider, const std::string& name) const {
  std::vector<UsdtNote> out;
  const Section* notes = section(".note.stapsdt");
  if (notes == nullptr) return out;
  const Section* base = section(".stapsdt.base");
  MS_TRY(const std::string bytes, text(*notes, kMaxNotes));
  constexpr uint64_t kAddresses = 3 * sizeof(uint64_t);  // of the place, the base as linked, the semaphore
  for (uint64_t at = 0; at + sizeof(Elf64_Nhdr) <= bytes.size();) {
    Elf64_Nhdr note{};
    std::memcpy(&note, bytes.data() + at, sizeof(note));
    const uint64_t owner = at + sizeof(note), description = owner + align4(note.n_namesz);
    if (description > bytes.size() || bytes.size() - description < note.n_descsz) return fail(damaged("its notes of static probes"));
    at = description + align4(note.n_descsz);
    if (note.n_type != 3 || string_at(bytes, owner) != "stapsdt" || note.n_descsz < kAddresses) continue;
    uint64_t addresses[3];
    std::memcpy(addresses, bytes.data() + description, kAddresses);
    const std::string texts(bytes, description + kAddresses, note.n_descsz - kAddresses);
    const std::string_view by = string_at(texts, 0), called = string_at(texts, by.size() + 1);
    if (by != provider || called != name) continue;
    // Prelinking moves the code; the section that exists for it tells by how much.
    const uint64_t moved = base != nullptr && addresses[1] != 0 ? base->address - addresses[1] : 0;
    const auto place = file_offset(addresses[0] + moved, true);
    const auto semaphore = addresses[2] == 0 ? std::optional<uint64_t>(0) : file_offset(addresses[2] + moved, false);
    if (!place || !semaphore) return fail(damaged("the static probe " + provider + ":" + name + " lies outside of what is loaded"));
    if (out.size() == kMaxFunctions) return fail(ErrorCode::kTooLarge, path_ + " has too many places of the probe " + provider + ":" + name);
    out.push_back({*place, *semaphore, std::string(string_at(texts, by.size() + called.size() + 2))});
  }
  return out;
}

}  // namespace mapshift
