// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace mapshift {

struct UserFunction {
  std::string name;
  uint64_t offset = 0;  // into the file
  bool global = false;
  bool resolver = false;  // STT_GNU_IFUNC: runs once, when a process starts, to choose the function that is called
};

struct UsdtNote {  // a place of a static probe, as <sys/sdt.h> leaves it
  uint64_t offset = 0;     // of the nop, into the file
  uint64_t semaphore = 0;  // of the counter that switches the probe on, into the file; 0: it has none
  std::string arguments;   // "-4@%edi 8@-16(%rbp)"
};

// An executable or shared library of user space, as far as probes need it. The file is hostile: it is read with pread(), each
// number in it is checked, and each read is bounded. Not thread-safe.
class UserElf {
 public:
  // kNotFound; kUnsupported when it is no 64-bit little-endian program; kInvalid when it is damaged.
  [[nodiscard]] static Result<UserElf> open(const std::string& path);

  // Go moves the stacks of its goroutines, so a return probe makes its programs crash.
  [[nodiscard]] bool is_go() const { return go_; }
  // Functions whose name is wanted, of .symtab and .dynsym. kTooLarge beyond 4096.
  [[nodiscard]] Result<std::vector<UserFunction>> functions(const std::function<bool(std::string_view)>& wanted) const;
  // The one function of that name. kNotFound; kInvalid when several have it, or it only chooses another one.
  [[nodiscard]] Result<uint64_t> function_offset(const std::string& symbol) const;
  // Does it lie in code?
  [[nodiscard]] bool holds_code(uint64_t file_offset) const;
  // The places of a static probe; none: it has no such probe.
  [[nodiscard]] Result<std::vector<UsdtNote>> usdt(const std::string& provider, const std::string& name) const;
  // Of which machine its code is (EM_X86_64).
  [[nodiscard]] uint16_t machine() const { return machine_; }

 private:
  struct Segment {
    uint64_t offset = 0, address = 0, size = 0;
    bool executable = false;
  };
  struct Section {
    std::string name;
    uint64_t address = 0, offset = 0, size = 0;
    uint32_t type = 0, link = 0;
  };
  UserElf(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Status read_header();
  Status read_segments(uint64_t offset, uint32_t count);
  Status read_sections(uint64_t offset, uint32_t count, uint32_t names);
  void look_for_go_note(uint64_t offset, uint64_t size);
  [[nodiscard]] Status read(uint64_t offset, void* out, uint64_t size) const;
  [[nodiscard]] Result<std::string> text(const Section& section, uint64_t limit) const;
  [[nodiscard]] const Section* section(std::string_view name) const;
  [[nodiscard]] std::optional<uint64_t> file_offset(uint64_t address, bool executable) const;
  Status functions_of(const Section& table, const std::function<bool(std::string_view)>& wanted, std::vector<UserFunction>& out) const;
  [[nodiscard]] Error damaged(const std::string& what) const;

  Fd fd_;
  std::string path_;
  uint64_t size_ = 0;
  uint16_t machine_ = 0;
  bool go_ = false;
  std::vector<Segment> segments_;
  std::vector<Section> sections_;
};

// `*` stands for any text, `?` for one character. Takes time proportional to the product of both lengths at most.
[[nodiscard]] bool matches_pattern(std::string_view pattern, std::string_view text);

}  // namespace mapshift
