// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "observe/go/arch.h"
#include "observe/go/binary.h"
#include "observe/go/elf_image.h"

namespace mapshift::observe::go {

// The functions that are looked at, and nothing else of the program's code. Refers to the image, which must outlive it.
class Code {
 public:
  struct Place {
    uint64_t address = 0, size = 0;
  };
  Code(const ElfImage& image, const Arch& arch, std::map<std::string, Place, std::less<>> places)
      : image_(image), arch_(arch), places_(std::move(places)) {}

  // Every name that binary analysis may ask for.
  [[nodiscard]] static const std::vector<std::string_view>& wanted();
  [[nodiscard]] const Place* place(std::string_view function) const;
  // Empty where there is no such function, or it is damaged or absurdly large. Decoded once.
  [[nodiscard]] const std::vector<Instruction>& instructions(std::string_view function);
  // With its probe points. `exact`: prefer a dearer place to one that is passed twice when the stack grows.
  [[nodiscard]] std::optional<Function> function(std::string_view name, bool exact);

 private:
  [[nodiscard]] std::optional<ProbePoint> point(const Instruction& at) const;
  const ElfImage& image_;
  const Arch& arch_;
  std::map<std::string, Place, std::less<>> places_;
  std::map<std::string, std::vector<Instruction>, std::less<>> decoded_;
};

// Which instruction to probe at the entry: after the stack check, with the arguments still in registers, passed once by every call,
// and emulated where there is such a one. Null where no place is passed just once.
[[nodiscard]] const Instruction* entry_point(const std::vector<Instruction>& code, bool exact);

}  // namespace mapshift::observe::go
