// SPDX-License-Identifier: Apache-2.0
#include "observe/go/elf_image.h"

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace mapshift::observe::go {
namespace {

constexpr uint32_t kMaxSections = 4096, kMaxSegments = 256;
constexpr uint64_t kMaxSectionNames = 1U << 20, kMaxName = 256;

tl::unexpected<Error> broken(const std::string& what) {
  return fail(ErrorCode::kInvalid, "the executable is damaged: " + what + "; build it again");
}

}  // namespace

Result<ElfImage> ElfImage::open(int fd) {
  ElfImage image(fd);
  MS_CHECK(image.read_header());
  return image;
}

Result<std::vector<uint8_t>> ElfImage::read_file(uint64_t offset, uint64_t size, const char* what) const {
  if (offset > file_size_ || size > file_size_ - offset) return broken(std::string(what) + " lies beyond the end of the file");
  std::vector<uint8_t> out(size);
  uint64_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(fd_, out.data() + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, std::string("read ") + what + " of the executable");
    if (got == 0) return broken(std::string(what) + " was cut off while it was read");
    done += static_cast<uint64_t>(got);
  }
  return out;
}

Status ElfImage::read_header() {
  struct stat status {};
  if (::fstat(fd_, &status) != 0) return fail_errno(errno, "stat the executable");
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::kUnsupported, "not a regular file, so no executable");
  file_size_ = static_cast<uint64_t>(status.st_size);
  if (file_size_ < sizeof(Elf64_Ehdr)) return fail(ErrorCode::kUnsupported, "not an ELF executable: the file is too short");
  MS_TRY(const auto bytes, read_file(0, sizeof(Elf64_Ehdr), "the header"));
  const auto header = *load<Elf64_Ehdr>(bytes, 0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return fail(ErrorCode::kUnsupported, "not an ELF executable");
  if (header.e_ident[EI_CLASS] != ELFCLASS64) return fail(ErrorCode::kUnsupported, "a 32-bit executable; only 64-bit ones are served");
  if (header.e_ident[EI_DATA] != ELFDATA2LSB) {
    return fail(ErrorCode::kUnsupported, "a big-endian executable; only little-endian ones are served");
  }
  if (header.e_type != ET_EXEC && header.e_type != ET_DYN) return fail(ErrorCode::kUnsupported, "an ELF file, but no executable");
  machine_ = header.e_machine;
  pie_ = header.e_type == ET_DYN;
  if (header.e_phentsize != sizeof(Elf64_Phdr)) return broken("its program headers have an unknown size");
  if (header.e_shnum != 0 && header.e_shentsize != sizeof(Elf64_Shdr)) return broken("its section headers have an unknown size");
  MS_CHECK(read_segments(header.e_phoff, header.e_phnum));
  return read_sections(header.e_shoff, header.e_shnum, header.e_shstrndx);
}

Status ElfImage::read_segments(uint64_t offset, uint32_t count) {
  if (count > kMaxSegments) return fail(ErrorCode::kTooLarge, "the executable has more than 256 program headers");
  MS_TRY(const auto bytes, read_file(offset, uint64_t{count} * sizeof(Elf64_Phdr), "the program header table"));
  for (uint32_t i = 0; i < count; ++i) {
    const auto header = *load<Elf64_Phdr>(bytes, i * sizeof(Elf64_Phdr));
    if (header.p_type != PT_LOAD) continue;
    if (header.p_filesz > header.p_memsz || header.p_vaddr + header.p_memsz < header.p_vaddr ||
        header.p_offset + header.p_filesz < header.p_offset) {
      return broken("a segment has impossible sizes");
    }
    segments_.push_back({header.p_offset, header.p_vaddr, header.p_filesz, header.p_memsz, (header.p_flags & PF_W) != 0,
                         (header.p_flags & PF_X) != 0});
  }
  return {};
}

Status ElfImage::read_sections(uint64_t offset, uint32_t count, uint32_t names) {
  if (count > kMaxSections) return fail(ErrorCode::kTooLarge, "the executable has more than 4096 sections");
  if (count == 0) return {};
  if (names >= count) return broken("it has no section names");
  MS_TRY(const auto bytes, read_file(offset, uint64_t{count} * sizeof(Elf64_Shdr), "the section header table"));
  const auto strings_header = *load<Elf64_Shdr>(bytes, names * sizeof(Elf64_Shdr));
  if (strings_header.sh_size > kMaxSectionNames) return broken("its section names take more than 1 MiB");
  MS_TRY(const auto strings, read_file(strings_header.sh_offset, strings_header.sh_size, "the section name table"));
  for (uint32_t i = 0; i < count; ++i) {
    const auto header = *load<Elf64_Shdr>(bytes, i * sizeof(Elf64_Shdr));
    const auto name = text_at(strings, header.sh_name, kMaxName);
    if (!name && header.sh_type != SHT_NULL) return broken("a section has no readable name");
    sections_.push_back({std::string(name.value_or("")), header.sh_type, header.sh_flags, header.sh_addr, header.sh_offset,
                         header.sh_size, header.sh_link});
  }
  return {};
}

const Section* ElfImage::section(std::string_view name) const {
  const auto found = std::find_if(sections_.begin(), sections_.end(), [&](const Section& s) { return s.name == name; });
  return found == sections_.end() || found->type == SHT_NOBITS ? nullptr : &*found;
}

Result<std::vector<uint8_t>> ElfImage::contents(const Section& section, uint64_t limit) const {
  if ((section.flags & SHF_COMPRESSED) != 0) return inflate(section, limit);
  if (section.size > limit) {
    return fail(ErrorCode::kTooLarge, "section " + section.name + " of the executable has more than " +
                                          std::to_string(limit >> 20) + " MiB");
  }
  return read_file(section.offset, section.size, section.name.c_str());
}

Result<std::vector<uint8_t>> ElfImage::read(uint64_t address, uint64_t size) const {
  const Segment* in = segment(address, size);
  if (in == nullptr) return broken("an address lies in no segment");
  const uint64_t skip = address - in->address;
  const uint64_t from_file = skip >= in->file_size ? 0 : std::min(size, in->file_size - skip);
  MS_TRY(auto out, read_file(in->offset + (from_file == 0 ? 0 : skip), from_file, "a segment"));
  if (size > out.size() && size > (1U << 20)) return fail(ErrorCode::kTooLarge, "a range without content has more than 1 MiB");
  out.resize(size);
  return out;
}

const Segment* ElfImage::segment(uint64_t address, uint64_t size) const {
  for (const auto& one : segments_) {
    if (address >= one.address && address - one.address <= one.memory_size && size <= one.memory_size - (address - one.address)) {
      return &one;
    }
  }
  return nullptr;
}

std::optional<uint64_t> ElfImage::file_offset(uint64_t address) const {
  const Segment* in = segment(address, 1);
  if (in == nullptr || address - in->address >= in->file_size) return std::nullopt;
  return in->offset + (address - in->address);
}

}  // namespace mapshift::observe::go
