// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mapshift {

// An object file of our own, or of our linker, with something changed in it. Not for files from elsewhere: it trusts what it reads.
class ElfPatch {
 public:
  explicit ElfPatch(std::span<const std::byte> bytes) : bytes_(bytes.begin(), bytes.end()) {}
  // Asked for each global symbol; its name stays where the answer is empty.
  [[nodiscard]] Status rename(const std::function<std::string(std::string_view)>& name_of);
  [[nodiscard]] Status replace(std::string_view section, std::span<const std::byte> contents);
  // Takes variables out of the sections' types that lie where others do. Compilers move small constants to sections of their own
  // and leave them named in the type of the old one, linkers keep that, and the kernel refuses it.
  [[nodiscard]] Status drop_overlapping_variables();
  [[nodiscard]] std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  [[nodiscard]] Status rename_types(const std::function<std::string(std::string_view)>& name_of);
  std::vector<std::byte> bytes_;
};

}  // namespace mapshift
