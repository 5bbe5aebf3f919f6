// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "observe/go/bytes.h"

namespace mapshift::observe::go {

// One machine instruction, as far as it matters here. What reads these is the same for every architecture.
struct Instruction {
  enum class Flow : uint8_t { kNext, kReturn, kCall, kJump, kBranch };
  // What it does with the memory at `location`; kAddress: puts the address into a register and touches nothing.
  enum class Access : uint8_t { kNone, kAddress, kRead, kWrite, kExchange, kAtomicAdd, kIncrement };

  uint64_t address = 0;
  uint8_t size = 0;
  Flow flow = Flow::kNext;
  Access access = Access::kNone;
  uint8_t width = 0;         // of the access, in bytes
  uint64_t target = 0;       // of a call, jump or branch that names one
  uint64_t location = 0;     // of the access where the code alone tells it (PC-relative, or through a register that was just loaded)
  std::optional<int64_t> compared = {};  // an immediate that something is compared with
  bool loads_first_argument = false;     // kAddress into the register of the first argument
  bool writes_arguments = false;         // may change a register of the Go calling convention
  bool checks_stack = false;             // compares with the goroutine's stack limit
  bool emulated = false;                 // a uprobe on it is emulated by the kernel
};

// What is particular to an architecture. A new one is a file that defines one of these and a line in arch_for().
struct Arch {
  std::string_view name;  // as Go says it: "amd64"
  uint16_t machine = 0;   // EM_...
  // The instructions from the first one on, until the end or until bytes that are none.
  std::vector<Instruction> (*decode)(Bytes code, uint64_t address) = nullptr;
};

extern const Arch kAmd64;

// Null where the architecture is not served.
[[nodiscard]] const Arch* arch_for(uint16_t machine);

}  // namespace mapshift::observe::go
