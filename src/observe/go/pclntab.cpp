// SPDX-License-Identifier: Apache-2.0
#include "observe/go/pclntab.h"

namespace mapshift::observe::go {
namespace {

constexpr uint64_t kMaxTable = 192U << 20, kMaxData = 64U << 20;
constexpr uint32_t kMaxFunctions = 4U << 20, kMaxTries = 4;
constexpr uint64_t kHeaderSize = 72;
constexpr uint32_t kMagic118 = 0xfffffff0, kMagic120 = 0xfffffff1, kMagic116 = 0xfffffffa, kMagic12 = 0xfffffffb;
// runtime.moduledata of Go 1.18 and newer: pcHeader is its first field.
constexpr uint64_t kModuleText = 176, kModuleEndText = 184;

tl::unexpected<Error> broken(const char* what) {
  return fail(ErrorCode::kInvalid, std::string("the table of functions (.gopclntab) is damaged: ") + what + "; build it again");
}

std::optional<uint64_t> text_of_module(ElfImage& image, uint64_t module, uint64_t table) {
  const auto header = image.pointer(module), text = image.pointer(module + kModuleText), end = image.pointer(module + kModuleEndText);
  if (!header || !text || !end || *header != table || *text == 0 || *end <= *text) return std::nullopt;
  const Segment* segment = image.segment(*text, *end - *text);
  if (segment == nullptr || !segment->executable) return std::nullopt;
  return text;
}

// From 1.26 the table does not say where the code starts (its field is 0): the module's data does.
std::optional<uint64_t> find_text(ElfImage& image, uint64_t table) {
  for (const char* name : {".go.module", ".noptrdata", ".data"}) {
    const Section* section = image.section(name);
    if (section == nullptr) continue;
    const auto bytes = image.contents(*section, kMaxData);
    if (!bytes) continue;
    for (uint64_t at = (8 - section->address % 8) % 8; at + 8 <= bytes->size(); at += 8) {
      if (*load<uint64_t>(*bytes, at) != table) continue;
      if (const auto text = text_of_module(image, section->address + at, table)) return text;
    }
  }
  if (!image.pie()) return std::nullopt;
  for (const uint64_t module : image.pointers_to(table)) {
    if (const auto text = text_of_module(image, module, table)) return text;
  }
  return std::nullopt;
}

}  // namespace

Result<PclnTable> PclnTable::read(ElfImage& image) {
  for (const char* name : {".gopclntab", ".data.rel.ro.gopclntab"}) {
    const Section* section = image.section(name);
    if (section == nullptr) continue;
    PclnTable table;
    MS_CHECK(table.read_table(image, section->address, section->size));
    return table;
  }
  return search(image);
}

// An external linker, to Go 1.25, merges the table into .data.rel.ro of a position-independent executable.
Result<PclnTable> PclnTable::search(ElfImage& image) {
  Error last{ErrorCode::kNotFound, 0, "the executable has no table of functions (.gopclntab)", {}, {}};
  const Section* section = image.section(".data.rel.ro");
  if (section == nullptr) return fail(std::move(last));
  MS_TRY(const auto bytes, image.contents(*section, kMaxTable));
  uint32_t tries = 0;
  for (uint64_t at = 0; at + kHeaderSize <= bytes.size() && tries < kMaxTries; at += 8) {
    const auto magic = *load<uint32_t>(bytes, at);
    if ((magic != kMagic118 && magic != kMagic120) || *load<uint16_t>(bytes, at + 4) != 0 || bytes[at + 7] != 8) continue;
    ++tries;
    PclnTable table;
    const auto status = table.read_table(image, section->address + at, bytes.size() - at);
    if (status) return table;
    last = status.error();
  }
  return fail(std::move(last));
}

Status PclnTable::read_table(ElfImage& image, uint64_t address, uint64_t size) {
  if (size < kHeaderSize) return broken("it is too short");
  if (size > kMaxTable) return fail(ErrorCode::kTooLarge, "the table of functions (.gopclntab) has more than 192 MiB");
  MS_TRY(const auto header, image.read(address, kHeaderSize));
  const auto magic = *load<uint32_t>(header, 0);
  if (magic == kMagic116 || magic == kMagic12) return fail(ErrorCode::kUnsupported, "its table of functions is of Go before 1.18");
  if (magic != kMagic118 && magic != kMagic120) return broken("its magic is unknown");
  if (header[7] != 8) return broken("its pointers have not 8 bytes");
  const auto field = [&](uint64_t at) { return *load<uint64_t>(header, at); };
  const uint64_t count = field(8), names = field(32), names_end = field(40), functions = field(64);
  if (count == 0 || count > kMaxFunctions) return broken("its number of functions is impossible");
  if (functions > size || (count * 2 + 1) * 4 > size - functions) return broken("it is shorter than it says");
  if (names >= names_end || names_end > size) return broken("its names lie outside of it");
  MS_TRY(names_, image.read(address + names, names_end - names));
  MS_TRY(functions_, image.read(address + functions, size - functions));
  count_ = static_cast<uint32_t>(count);
  text_ = image.pointer(address + 24).value_or(0);
  if (text_ == 0) text_ = find_text(image, address).value_or(0);
  const Segment* segment = image.segment(text_, 1);
  if (text_ == 0 || segment == nullptr || !segment->executable) return broken("the start of the code was not found");
  return {};
}

std::optional<PclnTable::Entry> PclnTable::at(uint32_t i) const {
  if (i >= count_) return std::nullopt;
  const uint64_t row = uint64_t{i} * 8;
  const auto begin = load<uint32_t>(functions_, row), record = load<uint32_t>(functions_, row + 4), end = load<uint32_t>(functions_, row + 8);
  if (!begin || !record || !end || *end <= *begin) return std::nullopt;
  const auto name = load<uint32_t>(functions_, uint64_t{*record} + 4);
  if (!name || *name >= names_.size()) return std::nullopt;
  return Entry{text_ + *begin, *end - *begin, *name};
}

}  // namespace mapshift::observe::go
