// SPDX-License-Identifier: Apache-2.0
// Tables of functions: variables of the sections ".struct_ops.link" and ".struct_ops".
#include <elf.h>
#include <fmt/format.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cstring>

#include "kernel/object_reader.h"

namespace mapshift {
namespace {

constexpr size_t kMaxTables = 64, kMaxTableFunctions = 256, kMaxRegisteredName = 256;

// What the member `name`, an array of characters, holds.
std::string registered_name(const Type& type, std::span<const std::byte> bytes) {
  for (const Member& member : type.members) {
    const size_t at = member.bit_offset / 8;
    if (member.name != "name" || member.type->kind != TypeKind::kArray || !member.type->element ||
        member.type->element->size != 1 || member.type->size > kMaxRegisteredName || member.type->size > bytes.size() ||
        at > bytes.size() - member.type->size) {
      continue;
    }
    const char* text = reinterpret_cast<const char*>(bytes.data()) + at;
    return {text, strnlen(text, member.type->size)};
  }
  return {};
}

}  // namespace

Status ObjectReader::read_ops_tables() {
  std::vector<ProgramSpec> tables;  // aside: functions_ points into the programs
  for (uint32_t i = 1; i < elf_.sections().size(); ++i) {
    const std::string_view name = elf_.sections()[i].name;
    if (name == ".struct_ops" || name == ".struct_ops.link") MS_CHECK(read_ops_section(i, tables));
  }
  for (ProgramSpec& table : tables) {
    const bool twice = std::ranges::any_of(out_.programs, [&](const ProgramSpec& p) { return p.name == table.name; });
    if (twice) return fail(ErrorCode::kInvalid, fmt::format("\"{}\" is both a table of functions and a program", table.name));
    out_.programs.push_back(std::move(table));
  }
  return {};
}

Status ObjectReader::read_ops_section(uint32_t index, std::vector<ProgramSpec>& out) {
  const ElfSection& section = elf_.sections()[index];
  if (!types_) return fail(ErrorCode::kInvalid, "it defines tables of functions but has no BTF; compile it with -g");
  MS_TRY(const auto described, types_->section(section.name));
  for (const ElfSymbol& symbol : elf_.symbols()) {
    if (symbol.section != index || symbol.type != STT_OBJECT || symbol.name.empty()) continue;
    MS_CHECK(check_name("table of functions", symbol.name));
    const auto variable = std::ranges::find(described.variables, symbol.name,
        [](const auto& entry) { return std::string_view(entry.variable.name); });
    if (symbol.value > section.data.size() || section.data.size() - symbol.value < symbol.size ||
        variable == described.variables.end() ||
        variable->variable.type == nullptr || variable->variable.type->kind != TypeKind::kStruct) {
      return fail(ErrorCode::kInvalid, fmt::format("the table of functions \"{}\" contradicts its type; build it again",
          symbol.name));
    }
    if (out.size() == kMaxTables) return fail(ErrorCode::kTooLarge, fmt::format("more than {} tables of functions", kMaxTables));
    const Type& type = *variable->variable.type;
    ProgramSpec table{.name = std::string(symbol.name), .section = std::string(section.name), .type = BPF_PROG_TYPE_STRUCT_OPS,
        .code = {}};
    table.table = OpsTable{type.name, registered_name(type, section.data.subspan(symbol.value, symbol.size)), {}};
    MS_CHECK(read_ops_members(index, symbol, *table.table));
    out.push_back(std::move(table));
  }
  return {};
}

Status ObjectReader::read_ops_members(uint32_t index, const ElfSymbol& symbol, OpsTable& table) const {
  const ElfSection& section = elf_.sections()[index];
  MS_TRY(const auto relocations, elf_.relocations(index));
  for (const ElfRelocation& relocation : relocations) {
    if (relocation.offset < symbol.value || relocation.offset - symbol.value >= symbol.size) continue;
    uint64_t inside = 0;  // of a static function: its offset, against the symbol of its section
    if (relocation.offset > section.data.size() || section.data.size() - relocation.offset < sizeof inside) {
      return fail(ErrorCode::kInvalid, fmt::format("the table of functions \"{}\" is cut off; build it again", symbol.name));
    }
    std::memcpy(&inside, section.data.data() + relocation.offset, sizeof inside);
    const ElfSymbol& target = elf_.symbols()[relocation.symbol];
    const FunctionPlace* function = function_at(target.section, target.value + inside);
    if (function == nullptr) {
      return fail(ErrorCode::kInvalid, fmt::format("the table of functions \"{}\" points to \"{}\", where no function begins; build it again",
                                                   symbol.name, target.name));
    }
    if (table.programs.size() == kMaxTableFunctions) {
      return fail(ErrorCode::kTooLarge, fmt::format("the table of functions \"{}\" has more than {} functions", symbol.name, kMaxTableFunctions));
    }
    table.programs.push_back(function->function->name);
  }
  return {};
}

}  // namespace mapshift
