// SPDX-License-Identifier: Apache-2.0
#pragma once
// Private to object_file.cpp and elf_*.cpp.
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kernel/btf.h"
#include "kernel/elf_file.h"
#include "kernel/object_spec.h"

namespace mapshift {

// What a read builds up, step by step, in this order: maps, data sections, functions, relocations.
class ObjectReader {
 public:
  ObjectReader(const ElfFile& elf, ObjectSpec& out) : elf_(elf), out_(out) {}
  Status read_types();
  Status read_maps();           // elf_maps.cpp
  Status read_data_sections();
  Status read_kconfig();
  Status read_functions();      // elf_code.cpp
  Status read_relocations();
  Status read_ops_tables();     // elf_ops.cpp; last, for tables are added to the programs

 private:
  struct MapPlace {
    uint16_t section;
    uint64_t begin, end;
    std::string name;
  };
  struct FunctionPlace {
    uint32_t section;
    uint64_t offset;        // bytes
    FunctionSpec* function; // stable: programs are reserved, subprograms live in a map
  };

  // Programs and maps are pinned by their names, which bpffs and "name@instance" limit.
  [[nodiscard]] static Status check_name(const char* what, std::string_view name);
  Status read_data_section(uint16_t index, const ElfSection& section);
  Status place_map(const BtfTypes::MapDefinition& definition, uint16_t section);
  Status add_function(const ElfSymbol& symbol, bool is_program);
  Status add_program(const ElfSymbol& symbol, FunctionSpec code);
  Status read_function_relocations(uint32_t section, const std::vector<ElfRelocation>& relocations);
  [[nodiscard]] Result<Reloc> resolve(const FunctionPlace& place, const ElfRelocation& relocation) const;
  [[nodiscard]] Result<Reloc> resolve_load(const FunctionPlace& place, uint32_t insn, const ElfSymbol& symbol) const;
  Status add_local_calls(const FunctionPlace& place);
  Status read_ops_section(uint32_t index, std::vector<ProgramSpec>& out);
  Status read_ops_members(uint32_t index, const ElfSymbol& symbol, OpsTable& table) const;
  [[nodiscard]] const FunctionPlace* function_at(uint32_t section, uint64_t offset) const;
  [[nodiscard]] const FunctionPlace* function_around(uint32_t section, uint64_t offset) const;

  const ElfFile& elf_;
  ObjectSpec& out_;
  std::optional<BtfTypes> types_ = {};
  std::vector<MapPlace> map_places_ = {};
  std::map<uint32_t, std::string> data_sections_ = {};  // section index -> map name
  std::map<std::pair<uint32_t, uint64_t>, FunctionPlace> functions_ = {};
};

}  // namespace mapshift
