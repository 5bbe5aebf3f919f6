// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "observe/go/bytes.h"

namespace mapshift::observe::go {

struct Section {
  std::string name;
  uint32_t type = 0;
  uint64_t flags = 0, address = 0, offset = 0, size = 0;
  uint32_t link = 0;
};

struct Segment {  // PT_LOAD
  uint64_t offset = 0, address = 0, file_size = 0, memory_size = 0;
  bool writable = false, executable = false;
};

// A 64-bit little-endian ELF executable behind a descriptor, read with pread(): a mapping would kill us with SIGBUS when somebody
// truncates the file. All addresses are as linked. Not thread-safe, for relocations are read when first asked for.
class ElfImage {
 public:
  // kUnsupported: no 64-bit little-endian ELF executable; kInvalid: damaged. The descriptor stays the caller's and must stay open.
  [[nodiscard]] static Result<ElfImage> open(int fd);

  [[nodiscard]] uint16_t machine() const { return machine_; }
  [[nodiscard]] bool pie() const { return pie_; }
  [[nodiscard]] const std::vector<Section>& sections() const { return sections_; }
  [[nodiscard]] const std::vector<Segment>& segments() const { return segments_; }
  [[nodiscard]] const Section* section(std::string_view name) const;
  // The whole section, inflated where it is compressed. kTooLarge beyond `limit` bytes.
  [[nodiscard]] Result<std::vector<uint8_t>> contents(const Section& section, uint64_t limit) const;
  // What the file puts at an address; 0 where a segment is larger in memory. Relocations are not applied.
  [[nodiscard]] Result<std::vector<uint8_t>> read(uint64_t address, uint64_t size) const;
  // The loadable segment that holds all of the range, or null.
  [[nodiscard]] const Segment* segment(uint64_t address, uint64_t size) const;
  [[nodiscard]] std::optional<uint64_t> file_offset(uint64_t address) const;
  // A pointer in memory as the loader leaves it, less the load bias: in a PIE many are 0 in the file until they are relocated.
  [[nodiscard]] std::optional<uint64_t> pointer(uint64_t address);
  // Addresses of the pointers that a relocation makes equal to `value`, rising; at most 16.
  [[nodiscard]] std::vector<uint64_t> pointers_to(uint64_t value);

 private:
  explicit ElfImage(int fd) : fd_(fd) {}
  Status read_header();
  Status read_segments(uint64_t offset, uint32_t count);
  Status read_sections(uint64_t offset, uint32_t count, uint32_t names);
  [[nodiscard]] Result<std::vector<uint8_t>> read_file(uint64_t offset, uint64_t size, const char* what) const;
  [[nodiscard]] Result<std::vector<uint8_t>> inflate(const Section& section, uint64_t limit) const;
  void read_relocations();

  int fd_;
  uint64_t file_size_ = 0;
  uint16_t machine_ = 0;
  bool pie_ = false, relocations_read_ = false;
  std::vector<Section> sections_;
  std::vector<Segment> segments_;
  std::vector<std::pair<uint64_t, uint64_t>> relocations_;  // address and value, by address
};

}  // namespace mapshift::observe::go
