// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "observe/go/elf_image.h"

namespace mapshift::observe::go {

struct StructLayout {
  uint64_t size = 0;
  std::map<std::string, uint32_t, std::less<>> members;  // offsets in bytes
};
using StructLayouts = std::map<std::string, StructLayout, std::less<>>;

// Debugging information as bytes. Only Go's own use of DWARF 2 to 5 is understood.
struct DwarfSections {
  Bytes info, abbrev, str, line_str;
};

// The layouts of those structures of the compile units "runtime" and "internal/poll" whose names are in `wanted`; other units are
// skipped by their length. Reading ends when all are found. kInvalid: damaged.
[[nodiscard]] Result<StructLayouts> read_structs(const DwarfSections& sections, const std::vector<std::string_view>& wanted);
// The same of an image. kNotFound: it has no debugging information.
[[nodiscard]] Result<StructLayouts> read_structs(const ElfImage& image, const std::vector<std::string_view>& wanted);

}  // namespace mapshift::observe::go
