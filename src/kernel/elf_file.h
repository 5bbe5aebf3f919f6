// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mapshift {

// A relocatable 64-bit little-endian ELF file, checked as a whole when it is parsed: every section, string, symbol and
// relocation that this hands out lies within the file. libelf and libbpf trust more than that, and an object file may come
// from anywhere, so nothing else looks at one before this did.
struct ElfSection {
  std::string_view name;
  uint32_t type = 0;
  uint64_t flags = 0;
  uint64_t size = 0;
  uint32_t link = 0, info = 0;
  std::span<const std::byte> data;  // empty for SHT_NOBITS
};

struct ElfSymbol {
  std::string_view name;
  uint64_t value = 0, size = 0;
  uint16_t section = 0;  // 0: undefined; SHN_ABS and the like stay as they are
  uint8_t type = 0, binding = 0;
};

struct ElfRelocation {
  uint64_t offset = 0;  // bytes into the section that it applies to
  uint32_t type = 0;
  uint32_t symbol = 0;  // index into symbols()
};

// Views into the bytes given to parse(), which must outlive it. Immutable, so thread-safe.
class ElfFile {
 public:
  [[nodiscard]] static Result<ElfFile> parse(std::span<const std::byte> bytes);
  [[nodiscard]] const std::vector<ElfSection>& sections() const { return sections_; }
  [[nodiscard]] const std::vector<ElfSymbol>& symbols() const { return symbols_; }
  [[nodiscard]] const ElfSection* section(std::string_view name) const;
  // In file order; kInvalid when one names a symbol that is not there, or lies outside of the section.
  [[nodiscard]] Result<std::vector<ElfRelocation>> relocations(uint32_t section) const;

 private:
  ElfFile() = default;
  Status read_sections(std::span<const std::byte> bytes);
  Status read_symbols();
  std::vector<ElfSection> sections_;
  std::vector<ElfSymbol> symbols_;
};

}  // namespace mapshift
