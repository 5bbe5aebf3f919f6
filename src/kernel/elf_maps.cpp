// SPDX-License-Identifier: Apache-2.0
// Maps and data sections of an object file.
#include <elf.h>
#include <fmt/format.h>
#include <linux/bpf.h>

#include <algorithm>
#include <tuple>

#include "kernel/object_reader.h"

namespace mapshift {
namespace {

constexpr uint32_t kMaxSectionBytes = 64u << 20;
constexpr size_t kMaxVariables = 16384;

uint32_t section_flags(DataSection kind, bool visible) {
  const bool constant = kind == DataSection::kRodata || kind == DataSection::kKconfig;
  // libbpf makes a section mappable when it has a variable that is not static.
  return (constant ? uint32_t{BPF_F_RDONLY_PROG} : 0U) | (visible ? uint32_t{BPF_F_MMAPABLE} : 0U);
}

MapSpec section_map(std::string_view section, DataSection kind, uint32_t size) {
  MapSpec out;
  out.name = section_map_name(section);
  out.type = MapType::kArray;
  out.key_size = 4;
  out.value_size = size;
  out.max_entries = 1;
  out.section = kind;
  return out;
}

uint32_t alignment_of(const Type& type) {
  if (type.kind == TypeKind::kArray) return type.element ? alignment_of(*type.element) : 1;
  uint32_t out = type.members.empty() ? std::clamp(type.size, 1U, 8U) : 1;
  for (const auto& member : type.members) out = std::max(out, alignment_of(*member.type));
  return out;
}

}  // namespace

Status ObjectReader::read_maps() {
  for (const auto& section : elf_.sections()) {
    if (section.name == "maps" || section.name.starts_with("maps/")) {
      return fail(ErrorCode::kInvalid,
                  "its maps are defined in the legacy section \"maps\"; rebuild it with BTF-defined maps in SEC(\".maps\")");
    }
  }
  const ElfSection* section = elf_.section(".maps");
  if (section == nullptr) return {};
  if (!types_) return fail(ErrorCode::kInvalid, "it defines maps but has no BTF; compile it with -g");
  const auto index = static_cast<uint16_t>(section - elf_.sections().data());
  MS_TRY(const auto definitions, types_->maps());
  for (const auto& definition : definitions) {
    MS_CHECK(place_map(definition, index));
    out_.maps.push_back(definition.spec);
  }
  return {};
}

// BTF says what a map is, its symbol where: relocations name the place.
Status ObjectReader::place_map(const BtfTypes::MapDefinition& definition, uint16_t section) {
  const auto& name = definition.spec.name;
  MS_CHECK(check_name("map", name));
  const auto& symbols = elf_.symbols();
  const auto found = std::find_if(symbols.begin(), symbols.end(), [&](const ElfSymbol& s) {
    return s.section == section && s.name == name && s.type != STT_SECTION;
  });
  const bool declared = std::any_of(symbols.begin(), symbols.end(), [&](const ElfSymbol& s) { return s.section == 0 && s.name == name; });
  if (found == symbols.end() && declared) {
    return fail(ErrorCode::kInvalid, fmt::format("map \"{}\" is declared extern and not defined: compile it with -O2, which leaves out what is not "
                                                 "used, or link the object that defines it (bpftool gen object)", name));
  }
  if (found == symbols.end()) return fail(ErrorCode::kInvalid, fmt::format("map \"{}\" has no symbol; build it again", name));
  const bool twice =
      std::any_of(map_places_.begin(), map_places_.end(), [&](const MapPlace& place) { return place.name == name; });
  if (twice) return fail(ErrorCode::kInvalid, fmt::format("map \"{}\" is defined twice", name));
  map_places_.push_back({section, found->value, found->value + std::max<uint64_t>(1, definition.definition_size), name});
  return {};
}

Status ObjectReader::read_data_sections() {
  const auto& sections = elf_.sections();
  for (uint32_t i = 1; i < sections.size(); ++i) {
    const DataSection kind = data_section_kind(sections[i].name);
    const bool is_data = sections[i].type == SHT_PROGBITS || sections[i].type == SHT_NOBITS;
    if (kind == DataSection::kNone || !is_data || (sections[i].flags & SHF_ALLOC) == 0 || sections[i].size == 0) continue;
    MS_CHECK(read_data_section(static_cast<uint16_t>(i), sections[i]));
  }
  return {};
}

Status ObjectReader::read_data_section(uint16_t index, const ElfSection& section) {
  if (section.size > kMaxSectionBytes) {
    return fail(ErrorCode::kTooLarge,
                fmt::format("section \"{}\" has {} bytes, at most {} are read", section.name, section.size, kMaxSectionBytes));
  }
  auto map = section_map(section.name, data_section_kind(section.name), static_cast<uint32_t>(section.size));
  MS_CHECK(check_name("section", map.name));
  const bool twice =
      std::any_of(out_.maps.begin(), out_.maps.end(), [&](const MapSpec& other) { return other.name == map.name; });
  if (twice) {
    return fail(ErrorCode::kInvalid,
                fmt::format("section \"{}\" would be a second map named \"{}\"; rename one of them", section.name, map.name));
  }
  std::map<std::string, BtfTypes::SectionVariable> typed;
  if (types_) {
    MS_TRY(auto described, types_->section(section.name));
    for (auto& entry : described.variables) typed.emplace(entry.variable.name, std::move(entry));
  }
  bool visible = false;
  for (const auto& symbol : elf_.symbols()) {
    if (symbol.section != index || symbol.type != STT_OBJECT || symbol.name.empty()) continue;
    if (symbol.value > section.size || section.size - symbol.value < symbol.size) {
      return fail(ErrorCode::kInvalid,
                  fmt::format("variable \"{}\" lies outside of section \"{}\"; build it again", symbol.name, section.name));
    }
    if (map.variables.size() == kMaxVariables) {
      return fail(ErrorCode::kTooLarge, fmt::format("section \"{}\" has more than {} variables", section.name, kMaxVariables));
    }
    Variable variable{std::string(symbol.name), static_cast<uint32_t>(symbol.value), static_cast<uint32_t>(symbol.size), {}, {}};
    if (const auto found = typed.find(variable.name); found != typed.end()) {
      // An array without a bound has no size in BTF; then only the symbol knows it, and the bytes have no type.
      if (found->second.variable.size == symbol.size) variable.type = found->second.variable.type;
      variable.tags = found->second.variable.tags;
      visible = visible || !found->second.is_static;
    }
    map.variables.push_back(std::move(variable));
  }
  std::stable_sort(map.variables.begin(), map.variables.end(),
                   [](const Variable& a, const Variable& b) { return a.offset < b.offset; });
  map.flags = section_flags(map.section, visible);
  if (types_) {
    map.key = section_key_type();
    map.value = section_value_type(std::string(section.name), map.value_size, map.variables);
  }
  data_sections_[index] = map.name;
  out_.maps.push_back(std::move(map));
  return {};
}

// Externs of the kernel's configuration are in no section of the file; libbpf lays them out by alignment, size, name.
Status ObjectReader::read_kconfig() {
  if (!types_) return {};
  MS_TRY(auto described, types_->section(".kconfig"));
  if (described.variables.empty()) return {};
  std::vector<Variable> variables;
  for (auto& entry : described.variables) variables.push_back(std::move(entry.variable));
  const auto rank = [](const Variable& v) {
    return std::make_tuple(-static_cast<int64_t>(alignment_of(*v.type)), v.size, v.name);
  };
  std::sort(variables.begin(), variables.end(), [&](const Variable& a, const Variable& b) { return rank(a) < rank(b); });
  uint64_t end = 0;
  for (auto& variable : variables) {
    const uint64_t align = alignment_of(*variable.type);
    end = (end + align - 1) / align * align;
    variable.offset = static_cast<uint32_t>(end);
    end += variable.size;
    if (end > kMaxSectionBytes) {
      return fail(ErrorCode::kTooLarge, "its kernel configuration externs are larger than any kernel's");
    }
  }
  auto map = section_map(".kconfig", DataSection::kKconfig, static_cast<uint32_t>(end));
  map.variables = std::move(variables);
  map.flags = section_flags(map.section, true);
  map.key = section_key_type();
  map.value = section_value_type(".kconfig", map.value_size, map.variables);
  out_.maps.push_back(std::move(map));
  return {};
}

}  // namespace mapshift
