// SPDX-License-Identifier: Apache-2.0
// Programs, subprograms and what their instructions refer to.
#include <bpf/libbpf.h>
#include <elf.h>
#include <fmt/format.h>
#include <linux/bpf.h>

#include <algorithm>
#include <cstring>

#include "kernel/object_reader.h"

namespace mapshift {
namespace {

constexpr size_t kMaxFunctions = 2048;
constexpr size_t kMaxInsns = 1u << 20;  // of all functions; the kernel takes a million for one program

constexpr uint8_t kLoadImm64 = BPF_LD | BPF_IMM | BPF_DW;
constexpr uint8_t kCall = BPF_JMP | BPF_CALL;

bool is_code(const ElfSection& section) { return section.type == SHT_PROGBITS && (section.flags & SHF_EXECINSTR) != 0; }

// "uprobe.s/…", "lsm.s", "iter.s/…"; syscall programs always may sleep.
bool is_sleepable(std::string_view section) {
  const auto kind = section.substr(0, section.find('/'));
  return kind.ends_with(".s") || kind == "syscall";
}

}  // namespace

Status ObjectReader::read_functions() {
  size_t programs = 0, functions = 0;
  for (const auto& symbol : elf_.symbols()) {
    if (symbol.type != STT_FUNC || symbol.section == 0 || symbol.section >= elf_.sections().size()) continue;
    const auto& section = elf_.sections()[symbol.section];
    if (!is_code(section)) continue;
    if (++functions > kMaxFunctions) return fail(ErrorCode::kTooLarge, fmt::format("more than {} functions", kMaxFunctions));
    programs += section.name != ".text" ? 1 : 0;
  }
  out_.programs.reserve(programs);  // places point into it
  size_t insns = 0;
  for (const auto& symbol : elf_.symbols()) {
    if (symbol.type != STT_FUNC || symbol.section == 0 || symbol.section >= elf_.sections().size()) continue;
    const auto& section = elf_.sections()[symbol.section];
    if (!is_code(section) || functions_.contains({symbol.section, symbol.value})) continue;  // a second name of one function
    insns += symbol.size / sizeof(Insn);
    if (insns > kMaxInsns) return fail(ErrorCode::kTooLarge, fmt::format("more than {} instructions", kMaxInsns));
    MS_CHECK(add_function(symbol, section.name != ".text"));
  }
  return {};
}

Status ObjectReader::add_function(const ElfSymbol& symbol, bool is_program) {
  const auto& section = elf_.sections()[symbol.section];
  const bool inside = symbol.value <= section.size && section.size - symbol.value >= symbol.size;
  if (!inside || symbol.value % sizeof(Insn) != 0 || symbol.size % sizeof(Insn) != 0 || symbol.size == 0) {
    return fail(ErrorCode::kInvalid,
                fmt::format("function \"{}\" does not fit into section \"{}\"; build it again", symbol.name, section.name));
  }
  FunctionSpec code;
  code.name = symbol.name;
  code.insns.resize(symbol.size / sizeof(Insn));
  std::memcpy(code.insns.data(), section.data.data() + symbol.value, symbol.size);
  if (is_program) return add_program(symbol, std::move(code));
  // Static functions of two sources may share a name after linking.
  for (int n = 2; out_.subprograms.contains(code.name); ++n) code.name = fmt::format("{}#{}", symbol.name, n);
  FunctionSpec& kept = out_.subprograms[code.name];
  kept = std::move(code);
  functions_[{symbol.section, symbol.value}] = {symbol.section, symbol.value, &kept};
  return {};
}

Status ObjectReader::add_program(const ElfSymbol& symbol, FunctionSpec code) {
  MS_CHECK(check_name("program", code.name));
  const bool twice =
      std::any_of(out_.programs.begin(), out_.programs.end(), [&](const ProgramSpec& p) { return p.name == code.name; });
  if (twice) return fail(ErrorCode::kInvalid, fmt::format("program \"{}\" is defined twice", code.name));
  ProgramSpec program;
  program.name = code.name;
  std::string_view section = elf_.sections()[symbol.section].name;
  program.on_demand = section.starts_with('?');
  if (program.on_demand) section.remove_prefix(1);
  program.section = section;
  bpf_prog_type type = BPF_PROG_TYPE_UNSPEC;
  bpf_attach_type attach = {};
  if (libbpf_prog_type_by_name(program.section.c_str(), &type, &attach) == 0) {
    program.type = type;
    program.expected_attach_type = attach;
  }
  program.sleepable = is_sleepable(program.section);
  program.code = std::move(code);
  out_.programs.push_back(std::move(program));
  functions_[{symbol.section, symbol.value}] = {symbol.section, symbol.value, &out_.programs.back().code};
  return {};
}

const ObjectReader::FunctionPlace* ObjectReader::function_at(uint32_t section, uint64_t offset) const {
  const auto found = functions_.find({section, offset});
  return found == functions_.end() ? nullptr : &found->second;
}

const ObjectReader::FunctionPlace* ObjectReader::function_around(uint32_t section, uint64_t offset) const {
  auto next = functions_.upper_bound({section, offset});
  if (next == functions_.begin()) return nullptr;
  const FunctionPlace& place = std::prev(next)->second;
  const bool inside = place.section == section && offset - place.offset < place.function->insns.size() * sizeof(Insn);
  return inside ? &place : nullptr;
}

Status ObjectReader::read_relocations() {
  for (uint32_t i = 1; i < elf_.sections().size(); ++i) {
    if (!is_code(elf_.sections()[i])) continue;
    MS_TRY(const auto relocations, elf_.relocations(i));
    MS_CHECK(read_function_relocations(i, relocations));
  }
  for (const auto& [key, place] : functions_) {
    MS_CHECK(add_local_calls(place));
    auto& relocs = place.function->relocs;
    std::stable_sort(relocs.begin(), relocs.end(), [](const Reloc& a, const Reloc& b) { return a.insn < b.insn; });
    const auto same = [](const Reloc& a, const Reloc& b) { return a.insn == b.insn; };
    if (std::adjacent_find(relocs.begin(), relocs.end(), same) != relocs.end()) {
      return fail(ErrorCode::kInvalid,
                  fmt::format("an instruction of \"{}\" has two relocations; build it again", place.function->name));
    }
  }
  return {};
}

Status ObjectReader::read_function_relocations(uint32_t section, const std::vector<ElfRelocation>& relocations) {
  for (const auto& relocation : relocations) {
    const FunctionPlace* place = function_around(section, relocation.offset);
    if (place == nullptr) continue;  // code that no function owns is never loaded
    MS_TRY(auto reloc, resolve(*place, relocation));
    place->function->relocs.push_back(std::move(reloc));
  }
  return {};
}

Result<Reloc> ObjectReader::resolve(const FunctionPlace& place, const ElfRelocation& relocation) const {
  const uint64_t at = relocation.offset - place.offset;
  const auto index = static_cast<uint32_t>(at / sizeof(Insn));
  const auto& insns = place.function->insns;
  const auto& symbol = elf_.symbols()[relocation.symbol];
  const Insn& insn = insns[index];
  const auto bad = [&](const std::string& what) {
    return fail(ErrorCode::kInvalid,
                fmt::format("instruction {} of \"{}\" {}; build it again", index, place.function->name, what));
  };
  if (at % sizeof(Insn) != 0) return bad("is relocated in its middle");
  if (symbol.section == 0) return Reloc{index, Reloc::Kind::kExtern, std::string(symbol.name), 0};
  if (insn.code == kCall) {
    if (insn.src != BPF_PSEUDO_CALL) return bad("is a relocated call, but not of a function");
    // imm counts instructions from the next one; against a section symbol the whole target is in it.
    const auto target =
        static_cast<uint64_t>(static_cast<int64_t>(symbol.value) + (int64_t{insn.imm} + 1) * static_cast<int64_t>(sizeof(Insn)));
    const FunctionPlace* callee = function_at(symbol.section, target);
    if (callee == nullptr) return bad(fmt::format("calls \"{}\", where no function begins", symbol.name));
    return Reloc{index, Reloc::Kind::kCall, callee->function->name, 0};
  }
  if (insn.code == kLoadImm64 && index + 1 < insns.size()) return resolve_load(place, index, symbol);
  return bad("has a relocation, but is neither a call nor a 64-bit load");
}

Result<Reloc> ObjectReader::resolve_load(const FunctionPlace& place, uint32_t index, const ElfSymbol& symbol) const {
  const Insn& insn = place.function->insns[index];
  const auto bad = [&](const std::string& what) {
    return fail(ErrorCode::kInvalid,
                fmt::format("instruction {} of \"{}\" {}; build it again", index, place.function->name, what));
  };
  const auto target = static_cast<uint64_t>(static_cast<int64_t>(symbol.value) + insn.imm);
  if (const auto data = data_sections_.find(symbol.section); data != data_sections_.end()) {
    if (target > elf_.sections()[symbol.section].size) return bad("refers to a place behind the end of a data section");
    return Reloc{index, Reloc::Kind::kVariable, data->second, static_cast<uint32_t>(target)};
  }
  for (const auto& map : map_places_) {
    if (map.section == symbol.section && target >= map.begin && target < map.end) {
      return Reloc{index, Reloc::Kind::kMap, map.name, 0};
    }
  }
  if (const FunctionPlace* callee = function_at(symbol.section, target)) {
    return Reloc{index, Reloc::Kind::kCallback, callee->function->name, 0};
  }
  return bad(fmt::format("refers to \"{}\", which is neither a map, a variable nor a function", symbol.name));
}

// The compiler resolves calls within one section itself and leaves no relocation.
Status ObjectReader::add_local_calls(const FunctionPlace& place) {
  std::set<uint32_t> relocated;
  for (const auto& reloc : place.function->relocs) relocated.insert(reloc.insn);
  const auto& insns = place.function->insns;
  for (uint32_t i = 0; i < insns.size(); ++i) {
    if (insns[i].code == kLoadImm64) {
      ++i;  // its second half is no instruction
      continue;
    }
    if (insns[i].code != kCall || insns[i].src != BPF_PSEUDO_CALL || relocated.contains(i)) continue;
    const int64_t target =
        static_cast<int64_t>(place.offset) + (int64_t{i} + insns[i].imm + 1) * static_cast<int64_t>(sizeof(Insn));
    const FunctionPlace* callee = function_at(place.section, static_cast<uint64_t>(target));
    if (callee == nullptr) {
      return fail(ErrorCode::kInvalid,
                  fmt::format("instruction {} of \"{}\" calls a place where no function begins; build it again", i,
                              place.function->name));
    }
    place.function->relocs.push_back({i, Reloc::Kind::kCall, callee->function->name, 0});
  }
  return {};
}

}  // namespace mapshift
