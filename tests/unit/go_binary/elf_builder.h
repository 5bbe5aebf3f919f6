// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <elf.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace mapshift::test {

// Puts sections into an ELF executable, each in a segment of its own when it has an address.
class ElfBuilder {
 public:
  struct Part {
    std::string name;
    std::vector<uint8_t> data;
    uint64_t address = 0;
    uint32_t type = SHT_PROGBITS;
    uint64_t flags = 0;
    uint32_t segment_flags = PF_R;
  };
  uint16_t type = ET_EXEC, machine = EM_X86_64;

  ElfBuilder& add(Part part) {
    parts_.push_back(std::move(part));
    return *this;
  }

  [[nodiscard]] std::vector<uint8_t> build() const {
    std::string names(1, '\0');
    std::vector<uint8_t> out(sizeof(Elf64_Ehdr) + parts_.size() * sizeof(Elf64_Phdr));
    std::vector<Elf64_Shdr> sections(1);
    uint16_t segments = 0;
    for (const auto& part : parts_) {
      Elf64_Shdr section{};
      section.sh_name = static_cast<uint32_t>(names.size());
      names += part.name + '\0';
      section.sh_type = part.type;
      section.sh_flags = part.flags;
      section.sh_addr = part.address;
      section.sh_offset = out.size();
      section.sh_size = part.data.size();
      sections.push_back(section);
      out.insert(out.end(), part.data.begin(), part.data.end());
      if (part.address == 0) continue;
      Elf64_Phdr segment{PT_LOAD,      part.segment_flags, section.sh_offset, part.address,
                         part.address, part.data.size(),   part.data.size(),  1};
      std::memcpy(&out[sizeof(Elf64_Ehdr) + segments++ * sizeof(segment)], &segment, sizeof(segment));
    }
    Elf64_Shdr strings{};
    strings.sh_name = static_cast<uint32_t>(names.size());
    names += std::string(".shstrtab") + '\0';
    strings.sh_type = SHT_STRTAB;
    strings.sh_offset = out.size();
    strings.sh_size = names.size();
    sections.push_back(strings);
    out.insert(out.end(), names.begin(), names.end());
    finish(out, sections, segments);
    return out;
  }

 private:
  void finish(std::vector<uint8_t>& out, const std::vector<Elf64_Shdr>& sections, uint16_t segments) const {
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = type;
    header.e_machine = machine;
    header.e_phoff = sizeof(header);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = segments;
    header.e_shoff = out.size();
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = static_cast<uint16_t>(sections.size());
    header.e_shstrndx = static_cast<uint16_t>(sections.size() - 1);
    std::memcpy(out.data(), &header, sizeof(header));
    const auto* bytes = reinterpret_cast<const uint8_t*>(sections.data());
    out.insert(out.end(), bytes, bytes + sections.size() * sizeof(Elf64_Shdr));
  }
  std::vector<Part> parts_;
};

// Little-endian bytes of whatever is appended.
class ByteWriter {
 public:
  template <class T>
  ByteWriter& number(T value) {
    const auto* begin = reinterpret_cast<const uint8_t*>(&value);
    for (size_t i = 0; i < sizeof(T); ++i) bytes.push_back(begin[i]);
    return *this;
  }
  ByteWriter& uleb(uint64_t value) {
    do {
      const auto low = static_cast<uint8_t>(value & 0x7f);
      value >>= 7;
      bytes.push_back(value != 0 ? low | 0x80 : low);
    } while (value != 0);
    return *this;
  }
  ByteWriter& text(std::string_view text) {
    bytes.insert(bytes.end(), text.begin(), text.end());
    return *this;
  }
  ByteWriter& string(std::string_view value) { return text(value).number<uint8_t>(0); }
  std::vector<uint8_t> bytes;
};

// A .go.buildinfo section as Go 1.18 and newer write it.
inline std::vector<uint8_t> build_info(std::string_view version, std::string_view modules) {
  ByteWriter out;
  out.text("\xff Go buildinf:").number<uint8_t>(8).number<uint8_t>(2);
  out.bytes.resize(32);
  out.uleb(version.size()).text(version);
  const std::string sentinel(16, '\x30');
  out.uleb(modules.empty() ? 0 : modules.size() + 32);
  if (!modules.empty()) out.text(sentinel).text(modules).text(sentinel);
  return out.bytes;
}

}  // namespace mapshift::test
