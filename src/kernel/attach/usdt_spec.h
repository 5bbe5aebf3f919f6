// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace mapshift {

// Where a static probe's arguments are, as <bpf/usdt.bpf.h> (libbpf 1.0 to 1.6) reads it from its map `__bpf_usdt_specs`: the ABI of
// its struct __bpf_usdt_spec.
struct UsdtArgument {
  uint64_t value = 0;       // a constant, or an offset to the address in the register
  uint32_t kind = 0;        // 0: constant, 1: in a register, 2: in memory at a register
  int16_t register_offset = 0;  // into struct pt_regs
  uint8_t is_signed = 0;
  int8_t shift = 0;         // bits that are cut off at the top
};
struct UsdtSpec {
  std::array<UsdtArgument, 12> arguments = {};
  uint64_t cookie = 0;
  int16_t count = 0;
  std::array<uint8_t, 4> unused = {};
  uint16_t taken = 0;  // ours, in the structure's padding: this element is in use
};
static_assert(sizeof(UsdtArgument) == 16 && sizeof(UsdtSpec) == 208);

// Reads what a note says of the arguments: "-4@%edi 8@-16(%rbp) 4@$7". kUnsupported, naming the argument, for what the BPF side cannot
// read: floating point, an index register, another machine than x86-64.
[[nodiscard]] Result<UsdtSpec> parse_usdt_arguments(const std::string& text, uint16_t machine);

}  // namespace mapshift
