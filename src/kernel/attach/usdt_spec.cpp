// SPDX-License-Identifier: Apache-2.0
#include "kernel/attach/usdt_spec.h"

#include <elf.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

namespace mapshift {
namespace {

struct Register {
  std::array<std::string_view, 4> names;  // of 8, 4, 2 and 1 bytes
  int16_t offset;                         // into the kernel's struct pt_regs of x86-64
};
constexpr std::array<Register, 17> kRegisters{{{{"r15", "r15d", "r15w", "r15b"}, 0}, {{"r14", "r14d", "r14w", "r14b"}, 8},
    {{"r13", "r13d", "r13w", "r13b"}, 16}, {{"r12", "r12d", "r12w", "r12b"}, 24}, {{"rbp", "ebp", "bp", "bpl"}, 32},
    {{"rbx", "ebx", "bx", "bl"}, 40}, {{"r11", "r11d", "r11w", "r11b"}, 48}, {{"r10", "r10d", "r10w", "r10b"}, 56},
    {{"r9", "r9d", "r9w", "r9b"}, 64}, {{"r8", "r8d", "r8w", "r8b"}, 72}, {{"rax", "eax", "ax", "al"}, 80},
    {{"rcx", "ecx", "cx", "cl"}, 88}, {{"rdx", "edx", "dx", "dl"}, 96}, {{"rsi", "esi", "si", "sil"}, 104},
    {{"rdi", "edi", "di", "dil"}, 112}, {{"rip", "eip", "ip", "ip"}, 128}, {{"rsp", "esp", "sp", "spl"}, 152}}};

constexpr uint32_t kConstant = 0, kRegister = 1, kMemory = 2;

std::optional<int16_t> register_offset(std::string_view name) {
  if (!name.starts_with('%')) return std::nullopt;
  name.remove_prefix(1);
  for (const Register& known : kRegisters) {
    if (std::ranges::find(known.names, name) != known.names.end()) return known.offset;
  }
  return std::nullopt;
}

// The number that is all of the text; a leading '+' is not of it.
std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "$7", "%edi", "(%rbp)", "-16(%rbp)"
bool read_place(std::string_view place, UsdtArgument& out) {
  if (place.starts_with('$')) {
    const auto value = number(place.substr(1));
    out.kind = kConstant;
    out.value = static_cast<uint64_t>(value.value_or(0));
    return value.has_value();
  }
  const size_t open = place.find('(');
  const bool memory = open != std::string_view::npos && place.ends_with(')');
  const auto offset = memory && open > 0 ? number(place.substr(0, open)) : std::optional<int64_t>(0);
  const auto base = register_offset(memory ? place.substr(open + 1, place.size() - open - 2) : place);
  out.kind = memory ? kMemory : kRegister;
  out.value = static_cast<uint64_t>(offset.value_or(0));
  out.register_offset = base.value_or(0);
  return base.has_value() && offset.has_value();
}

std::optional<UsdtArgument> read_argument(std::string_view text) {
  const size_t at = text.find('@');
  if (at == std::string_view::npos) return std::nullopt;
  const auto size = number(text.substr(0, at));
  if (!size || *size < -8 || *size > 8) return std::nullopt;
  const int64_t bytes = *size < 0 ? -*size : *size;
  UsdtArgument out;
  out.is_signed = *size < 0 ? 1 : 0;
  if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8) return std::nullopt;
  out.shift = static_cast<int8_t>(64 - bytes * 8);
  if (!read_place(text.substr(at + 1), out)) return std::nullopt;
  return out;
}

}  // namespace

Result<UsdtSpec> parse_usdt_arguments(const std::string& text, uint16_t machine) {
  UsdtSpec spec;
  spec.taken = 1;
  if (machine != EM_X86_64 && !text.empty()) return fail(ErrorCode::kUnsupported, "the arguments of static probes are read on x86-64 only");
  std::string_view rest(text);
  while (!rest.empty()) {
    const size_t end = rest.find(' ');
    const std::string_view argument = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (argument.empty()) continue;
    if (static_cast<size_t>(spec.count) == spec.arguments.size()) return fail(ErrorCode::kUnsupported, "the probe has more than 12 arguments");
    const auto read = read_argument(argument);
    if (!read) return fail(ErrorCode::kUnsupported, "its argument \"" + std::string(argument.substr(0, 64)) + "\" lies where BPF programs cannot read it");
    spec.arguments[static_cast<size_t>(spec.count++)] = *read;
  }
  return spec;
}

}  // namespace mapshift
