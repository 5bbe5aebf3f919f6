// SPDX-License-Identifier: Apache-2.0
#include "kernel/elf_file.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

#ifndef EM_BPF
#define EM_BPF 247
#endif

namespace mapshift {
namespace {

constexpr uint32_t kMaxSections = 4096;
constexpr size_t kMaxSymbols = 1u << 18;
constexpr size_t kMaxRelocations = 1u << 20;
constexpr size_t kMaxName = 1024;  // bounds what a file of overlapping names can make us scan and copy

tl::unexpected<Error> broken(std::string what) {
  return fail(ErrorCode::kInvalid, "the ELF file is damaged: " + std::move(what) + "; build it again");
}

// A copy, because nothing in a file is aligned for certain.
template <class T>
std::optional<T> read_at(std::span<const std::byte> bytes, uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T out;
  std::memcpy(&out, bytes.data() + offset, sizeof(T));
  return out;
}

std::optional<std::string_view> string_at(std::span<const std::byte> table, uint64_t offset) {
  if (offset >= table.size()) return std::nullopt;
  const char* begin = reinterpret_cast<const char*>(table.data()) + offset;
  const void* end = std::memchr(begin, 0, std::min(table.size() - offset, kMaxName));
  if (end == nullptr) return std::nullopt;
  return std::string_view(begin, static_cast<size_t>(static_cast<const char*>(end) - begin));
}

Status check_header(std::span<const std::byte> bytes, const Elf64_Ehdr& header) {
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    return fail(ErrorCode::kInvalid, "not an ELF object file; compile it with clang -target bpf");
  }
  if (header.e_ident[EI_CLASS] != ELFCLASS64) {
    return fail(ErrorCode::kInvalid, "not a 64-bit ELF file, so not a BPF object; compile it with clang -target bpf");
  }
  if (header.e_ident[EI_DATA] != ELFDATA2LSB) {
    return fail(ErrorCode::kInvalid, "not a little-endian ELF file; compile it with clang -target bpfel");
  }
  if (header.e_machine != EM_BPF) {
    return fail(
        ErrorCode::kInvalid,
        fmt::format("an ELF file for machine {}, not for BPF ({}); compile it with clang -target bpf", header.e_machine, EM_BPF));
  }
  if (header.e_type != ET_REL) {
    return fail(ErrorCode::kInvalid, "a BPF file, but not a relocatable object; give the output of clang -c");
  }
  if (header.e_shnum == 0 || header.e_shentsize != sizeof(Elf64_Shdr)) return broken("it has no section table");
  if (header.e_shnum > kMaxSections) {
    return fail(ErrorCode::kTooLarge, fmt::format("{} sections, at most {} are read", header.e_shnum, kMaxSections));
  }
  if (header.e_shoff > bytes.size() || (bytes.size() - header.e_shoff) / sizeof(Elf64_Shdr) < header.e_shnum) {
    return broken("the section table lies outside of the file");
  }
  if (header.e_shstrndx >= header.e_shnum) return broken("the section of section names does not exist");
  return {};
}

}  // namespace

Result<ElfFile> ElfFile::parse(std::span<const std::byte> bytes) {
  ElfFile file;
  MS_CHECK(file.read_sections(bytes));
  MS_CHECK(file.read_symbols());
  return file;
}

Status ElfFile::read_sections(std::span<const std::byte> bytes) {
  const auto header = read_at<Elf64_Ehdr>(bytes, 0);
  if (!header) {
    const bool magic = bytes.size() >= SELFMAG && std::memcmp(bytes.data(), ELFMAG, SELFMAG) == 0;
    if (magic) return broken("it ends within its header");
    return fail(ErrorCode::kInvalid, "not an ELF object file; compile it with clang -target bpf");
  }
  MS_CHECK(check_header(bytes, *header));
  std::vector<uint32_t> names;
  for (uint32_t i = 0; i < header->e_shnum; ++i) {
    const auto raw = read_at<Elf64_Shdr>(bytes, header->e_shoff + i * sizeof(Elf64_Shdr));
    if (!raw) return broken("the section table lies outside of the file");
    ElfSection section{.name = {},
                       .type = raw->sh_type,
                       .flags = raw->sh_flags,
                       .size = raw->sh_size,
                       .link = raw->sh_link,
                       .info = raw->sh_info,
                       .data = {}};
    if (raw->sh_type != SHT_NOBITS && raw->sh_type != SHT_NULL) {
      if (raw->sh_offset > bytes.size() || bytes.size() - raw->sh_offset < raw->sh_size) {
        return broken(fmt::format("section {} lies outside of the file", i));
      }
      section.data = bytes.subspan(raw->sh_offset, raw->sh_size);
    }
    names.push_back(raw->sh_name);
    sections_.push_back(section);
  }
  const auto strings = sections_[header->e_shstrndx].data;
  for (uint32_t i = 1; i < sections_.size(); ++i) {
    const auto name = string_at(strings, names[i]);
    if (!name) return broken(fmt::format("the name of section {} lies outside of the file", i));
    sections_[i].name = *name;
  }
  return {};
}

Status ElfFile::read_symbols() {
  const ElfSection* table = nullptr;
  for (const auto& section : sections_) {
    if (section.type != SHT_SYMTAB) continue;
    if (table != nullptr) return broken("it has two symbol tables");
    table = &section;
  }
  if (table == nullptr) {
    return fail(ErrorCode::kInvalid,
                "the object has no symbols, so its programs cannot be found; build it again and do not strip it");
  }
  if (table->data.size() % sizeof(Elf64_Sym) != 0) return broken("its symbol table has half a symbol");
  if (table->data.size() / sizeof(Elf64_Sym) > kMaxSymbols) {
    return fail(ErrorCode::kTooLarge, fmt::format("more than {} symbols", kMaxSymbols));
  }
  if (table->link >= sections_.size()) return broken("the symbols' names are missing");
  const auto strings = sections_[table->link].data;
  for (size_t at = 0; at < table->data.size(); at += sizeof(Elf64_Sym)) {
    const auto raw = read_at<Elf64_Sym>(table->data, at);
    const auto name = raw->st_name == 0 ? std::optional<std::string_view>("") : string_at(strings, raw->st_name);
    if (!name) return broken("a symbol's name lies outside of the file");
    if (raw->st_shndx < SHN_LORESERVE && raw->st_shndx >= sections_.size()) {
      return broken(fmt::format("symbol \"{}\" belongs to no section", *name));
    }
    symbols_.push_back({*name, raw->st_value, raw->st_size, raw->st_shndx, static_cast<uint8_t>(ELF64_ST_TYPE(raw->st_info)),
                        static_cast<uint8_t>(ELF64_ST_BIND(raw->st_info))});
  }
  return {};
}

const ElfSection* ElfFile::section(std::string_view name) const {
  const auto found = std::find_if(sections_.begin(), sections_.end(), [&](const ElfSection& s) { return s.name == name; });
  return found == sections_.end() ? nullptr : &*found;
}

Result<std::vector<ElfRelocation>> ElfFile::relocations(uint32_t section) const {
  std::vector<ElfRelocation> out;
  for (const auto& table : sections_) {
    if ((table.type != SHT_REL && table.type != SHT_RELA) || table.info != section) continue;
    if (table.type == SHT_RELA) return broken("relocations with addends are not used by BPF");
    if (table.data.size() % sizeof(Elf64_Rel) != 0) return broken("a relocation table has half an entry");
    if (out.size() + table.data.size() / sizeof(Elf64_Rel) > kMaxRelocations) {
      return fail(ErrorCode::kTooLarge, fmt::format("more than {} relocations", kMaxRelocations));
    }
    for (size_t at = 0; at < table.data.size(); at += sizeof(Elf64_Rel)) {
      const auto raw = read_at<Elf64_Rel>(table.data, at);
      const ElfRelocation relocation{raw->r_offset, static_cast<uint32_t>(ELF64_R_TYPE(raw->r_info)),
                                     static_cast<uint32_t>(ELF64_R_SYM(raw->r_info))};
      if (relocation.symbol >= symbols_.size()) return broken("a relocation names a symbol that does not exist");
      if (relocation.offset >= sections_[section].size) return broken("a relocation lies outside of its section");
      out.push_back(relocation);
    }
  }
  return out;
}

}  // namespace mapshift
