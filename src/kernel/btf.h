// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kernel/object_spec.h"
#include "kernel/type.h"

namespace mapshift {

// Limits on what a type may look like. BTF comes from files and from other people's maps; beyond these it is refused with
// kTooLarge and never followed.
inline constexpr uint32_t kMaxTypeMembers = 4096;     // of one struct, union or enum
inline constexpr uint32_t kMaxTypeDepth = 32;         // nesting of structs and arrays
inline constexpr uint32_t kMaxTypeNodes = 65536;      // types and members of one BTF together
// Of one type where each type within is written out in its place: Linux walks them one by one when it makes a map
// (btf_find_struct_field), and a few types that hold each other twice would keep it busy for minutes.
inline constexpr uint32_t kMaxWrittenMembers = 65536;
inline constexpr uint32_t kMaxBtfBytes = 16u << 20;

// The types of one BTF, read on demand into the pure model. Owns the parsed BTF. Not thread-safe; the types that it hands
// out are, and outlive it.
class BtfTypes {
 public:
  // `section` is a .BTF section's content. kInvalid when it is not well formed.
  [[nodiscard]] static Result<BtfTypes> parse(std::span<const std::byte> section);
  [[nodiscard]] static Result<BtfTypes> from_kernel(uint32_t btf_id);
  BtfTypes(BtfTypes&&) noexcept;
  BtfTypes& operator=(BtfTypes&&) noexcept;
  ~BtfTypes();

  // Typedefs and qualifiers are resolved; decl tags on them move to the type that they name. Type tags of a pointer
  // ("kptr") become its `tags`. Pointers are leaves.
  [[nodiscard]] Result<TypeRef> type(uint32_t id);
  // "struct event", "union u", or the name of a typedef, enum or integer. kNotFound when the BTF does not have it.
  [[nodiscard]] Result<TypeRef> named(std::string_view name);

  struct SectionVariable {
    Variable variable;   // offset as BTF has it: 0 in a file that no linker has seen
    bool is_static = false;
  };
  struct Section {
    std::string name;    // ".bss"
    uint32_t size = 0;
    std::vector<SectionVariable> variables;
  };
  // Without such a section: an empty one with an empty name.
  [[nodiscard]] Result<Section> section(std::string_view name);
  // kInvalid unless `id` is a section (BTF_KIND_DATASEC).
  [[nodiscard]] Result<Section> section(uint32_t id);
  [[nodiscard]] bool is_section(uint32_t id) const;

  // One map definition of the section ".maps", as libbpf's __uint and __type macros write it.
  struct MapDefinition {
    MapSpec spec;
    uint32_t definition_size = 0;  // bytes of the definition's struct in the section
  };
  [[nodiscard]] Result<std::vector<MapDefinition>> maps();

  struct Impl;  // btf_impl.h

 private:
  explicit BtfTypes(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// "bss" from ".bss", "data_x" from ".data.x".
[[nodiscard]] std::string section_map_name(std::string_view section);
// Which kind of data section that name is; kNone when it is none.
[[nodiscard]] DataSection data_section_kind(std::string_view section);
// The variables of a data section as the members of one struct, in the order of `variables`: the value of its map.
// Null when a variable has no type.
[[nodiscard]] TypeRef section_value_type(const std::string& section, uint32_t size, const std::vector<Variable>& variables);
[[nodiscard]] TypeRef section_key_type();  // section maps are arrays of one element

// The layout of a running map. Key and value are null when the map was made without BTF. The name is the kernel's: cut
// to 15 characters, except for data sections, whose name comes from BTF.
[[nodiscard]] Result<MapSpec> map_spec_from_fd(int map_fd);

}  // namespace mapshift
