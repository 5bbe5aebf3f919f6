// SPDX-License-Identifier: Apache-2.0
#include "observe/go/reason_tables.h"

#include <algorithm>
#include <tuple>

namespace mapshift::observe::go {
namespace {

using Access = Instruction::Access;

constexpr uint64_t kHeader = 16;  // of a Go string: a pointer and a length
constexpr int64_t kFewest = 8, kMost = 200;
constexpr uint64_t kLongest = 128;
constexpr int kMaxTries = 64;

struct Known {
  std::string_view symbol, first, second;
  std::vector<std::string_view> functions;
};

std::optional<std::string> text_of(ElfImage& image, uint64_t header) {
  const auto size = image.read(header + 8, 8);
  if (!size) return std::nullopt;
  const uint64_t length = *load<uint64_t>(*size, 0);
  if (length == 0) return std::string();
  const auto data = image.pointer(header);
  if (length > kLongest || !data) return std::nullopt;
  const auto bytes = image.read(*data, length);
  if (!bytes) return std::nullopt;
  return std::string(bytes->begin(), bytes->end());
}

bool believable(ElfImage& image, const Known& known, uint64_t table, uint64_t count) {
  if (text_of(image, table) != known.first || text_of(image, table + kHeader) != known.second) return false;
  for (uint64_t i = 2; i < count; ++i) {
    const auto text = text_of(image, table + i * kHeader);
    if (!text || text->empty()) return false;
    if (!std::all_of(text->begin(), text->end(), [](char c) { return c >= 0x20 && c <= 0x7e; })) return false;
  }
  return true;
}

// if uint(i) < uint(len(table)) { return table[i] }: the bound is compared shortly before the table's address is loaded.
std::optional<uint64_t> bound_before(const std::vector<Instruction>& code, size_t load) {
  for (size_t i = load; i-- > 0 && load - i <= 16;) {
    if (code[i].compared && *code[i].compared >= kFewest && *code[i].compared <= kMost) return static_cast<uint64_t>(*code[i].compared);
  }
  return std::nullopt;
}

std::pair<uint64_t, uint32_t> find(ElfImage& image, Code& code, const DataSymbols& symbols, const Known& known) {
  const auto symbol = symbols.find(known.symbol);
  if (symbol != symbols.end()) {
    const uint64_t count = symbol->second.size / kHeader;
    if (count >= kFewest && count <= kMost && believable(image, known, symbol->second.address, count)) {
      return {symbol->second.address, static_cast<uint32_t>(count)};
    }
  }
  for (const auto function : known.functions) {
    const auto& instructions = code.instructions(function);
    int tries = 0;
    for (size_t i = 0; i < instructions.size() && tries < kMaxTries; ++i) {
      if (instructions[i].access != Access::kAddress || instructions[i].location == 0) continue;
      const auto count = bound_before(instructions, i);
      if (!count) continue;
      ++tries;
      if (!believable(image, known, instructions[i].location, *count)) continue;
      return {instructions[i].location, static_cast<uint32_t>(*count)};
    }
  }
  return {0, 0};
}

}  // namespace

void find_reason_tables(ElfImage& image, Code& code, const DataSymbols& symbols, Globals& globals) {
  const Known wait{"runtime.waitReasonStrings", "", "GC assist marking", {"runtime.waitReason.String", "runtime.goroutineheader"}};
  const Known stop{"runtime.stwReasonStrings",
                   "unknown",
                   "GC mark termination",
                   {"runtime.stwReason.String", "runtime.traceLocker.STWStart", "runtime.stopTheWorld"}};
  std::tie(globals.wait_reasons, globals.wait_reason_count) = find(image, code, symbols, wait);
  std::tie(globals.stw_reasons, globals.stw_reason_count) = find(image, code, symbols, stop);
}

}  // namespace mapshift::observe::go
