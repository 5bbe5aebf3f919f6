// SPDX-License-Identifier: Apache-2.0
// What is rarely needed of an ELF image: compressed sections and relocated pointers.
#include <elf.h>
#include <zlib.h>

#include "observe/go/elf_image.h"

namespace mapshift::observe::go {
namespace {

constexpr uint64_t kMaxCompressed = 128U << 20;
constexpr uint64_t kMaxRelocations = 4U << 20;

// "*address = load bias + addend" in the numbering of each architecture.
bool is_relative(uint16_t machine, uint64_t type) {
  return (machine == EM_X86_64 && type == R_X86_64_RELATIVE) || (machine == EM_AARCH64 && type == R_AARCH64_RELATIVE);
}

}  // namespace

Result<std::vector<uint8_t>> ElfImage::inflate(const Section& section, uint64_t limit) const {
  const auto damaged = [&] {
    return fail(ErrorCode::kInvalid, "the executable is damaged: section " + section.name + " cannot be decompressed; build it again");
  };
  if (section.size > kMaxCompressed) return fail(ErrorCode::kTooLarge, "section " + section.name + " has more than 128 MiB");
  MS_TRY(auto bytes, read_file(section.offset, section.size, section.name.c_str()));
  const auto header = load<Elf64_Chdr>(bytes, 0);
  if (!header || header->ch_type != ELFCOMPRESS_ZLIB) return damaged();
  // zlib cannot pack better than about 1 to 1032: a larger claim would make us allocate for nothing.
  if (header->ch_size > limit || header->ch_size / 1100 > bytes.size()) {
    return fail(ErrorCode::kTooLarge, "section " + section.name + " is too large when decompressed");
  }
  std::vector<uint8_t> out(header->ch_size);
  z_stream stream{};
  if (::inflateInit(&stream) != Z_OK) return fail(ErrorCode::kInternal, "zlib cannot be started: out of memory?");
  stream.next_in = bytes.data() + sizeof(*header);
  stream.avail_in = static_cast<uInt>(bytes.size() - sizeof(*header));
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  const int status = ::inflate(&stream, Z_FINISH);
  const bool whole = status == Z_STREAM_END && stream.avail_out == 0;
  ::inflateEnd(&stream);
  if (!whole) return damaged();
  return out;
}

void ElfImage::read_relocations() {
  if (relocations_read_) return;
  relocations_read_ = true;
  uint64_t left = kMaxRelocations * sizeof(Elf64_Rela);
  for (const auto& one : sections_) {
    if (one.type != SHT_RELA || (one.flags & SHF_ALLOC) == 0 || (one.flags & SHF_COMPRESSED) != 0) continue;
    const auto bytes = contents(one, left);
    if (!bytes) continue;  // pointers stay unknown, and what needs them is said to be missing
    left -= bytes->size();
    const size_t count = bytes->size() / sizeof(Elf64_Rela);
    relocations_.reserve(relocations_.size() + count);
    for (size_t i = 0; i < count; ++i) {
      const auto rela = *load<Elf64_Rela>(*bytes, i * sizeof(Elf64_Rela));
      if (!is_relative(machine_, ELF64_R_TYPE(rela.r_info))) continue;
      relocations_.emplace_back(rela.r_offset, static_cast<uint64_t>(rela.r_addend));
    }
  }
  std::sort(relocations_.begin(), relocations_.end());
}

std::optional<uint64_t> ElfImage::pointer(uint64_t address) {
  const auto bytes = read(address, 8);
  if (!bytes) return std::nullopt;
  const uint64_t in_file = *load<uint64_t>(*bytes, 0);
  if (in_file != 0 || !pie_) return in_file;
  read_relocations();
  const auto found = std::lower_bound(relocations_.begin(), relocations_.end(), std::pair<uint64_t, uint64_t>(address, 0));
  return found != relocations_.end() && found->first == address ? found->second : 0;
}

std::vector<uint64_t> ElfImage::pointers_to(uint64_t value) {
  read_relocations();
  std::vector<uint64_t> out;
  for (const auto& [address, target] : relocations_) {
    if (target == value && out.size() < 16) out.push_back(address);
  }
  return out;
}

}  // namespace mapshift::observe::go
