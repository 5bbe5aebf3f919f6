// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "observe/go/elf_image.h"

namespace mapshift::observe::go {

// The runtime's own table of functions, which no stripping removes. Of Go 1.18 and newer. Immutable, so thread-safe.
class PclnTable {
 public:
  struct Entry {
    uint64_t address = 0, size = 0;
    uint32_t name = 0;  // offset into names()
  };
  // kNotFound: no such section; kInvalid: damaged, or the start of the code is not to be found; kTooLarge.
  [[nodiscard]] static Result<PclnTable> read(ElfImage& image);

  [[nodiscard]] uint32_t size() const { return count_; }
  [[nodiscard]] uint64_t text_start() const { return text_; }
  // The i-th function by address; nothing when its record is damaged.
  [[nodiscard]] std::optional<Entry> at(uint32_t i) const;
  // Zero-terminated names.
  [[nodiscard]] Bytes names() const { return names_; }
  // Nothing when it has `limit` bytes or more.
  [[nodiscard]] std::optional<std::string_view> name(uint32_t offset, size_t limit) const { return text_at(names(), offset, limit); }

 private:
  static Result<PclnTable> search(ElfImage& image);
  Status read_table(ElfImage& image, uint64_t address, uint64_t size);
  // The two parts that are needed; line tables, which are larger, lie between them.
  std::vector<uint8_t> names_, functions_;
  uint64_t text_ = 0;
  uint32_t count_ = 0;
};

}  // namespace mapshift::observe::go
