// SPDX-License-Identifier: Apache-2.0
#pragma once
// Private to btf_*.cpp: the only place where libbpf's view of BTF and the pure model meet.
#include <bpf/btf.h>

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernel/btf.h"

namespace mapshift {

struct BtfDeleter {
  void operator()(btf* types) const { btf__free(types); }
};

struct BtfTypes::Impl {
  std::unique_ptr<btf, BtfDeleter> types;
  std::unordered_map<uint32_t, TypeRef> done;
  struct Extent {
    uint32_t height = 0;   // levels below: a type met again may be deeper than where it was first
    uint32_t members = 1;  // itself and all below, each where it is used
  };
  std::unordered_map<const Type*, Extent> extents;
  std::map<std::pair<uint32_t, int>, std::vector<std::string>> tags;  // (type, component or -1) -> decl tags
  uint32_t nodes = 0;

  static Result<std::unique_ptr<Impl>> take(btf* raw, const std::string& what);
  Result<TypeRef> convert(uint32_t id, uint32_t depth);
  Result<Section> read_section(uint32_t id);
  Result<MapDefinition> read_map(uint32_t variable_id);

  [[nodiscard]] Extent extent_of(const Type& type) const;
  // Never null for an id that does not exist: void instead.
  [[nodiscard]] const btf_type* at(uint32_t id) const;
  [[nodiscard]] std::string name_at(uint32_t offset) const;
  [[nodiscard]] std::string title_of(uint32_t id) const;  // for errors
  [[nodiscard]] std::vector<std::string> tags_of(uint32_t id, int component) const;

 private:
  Result<TypeRef> convert_new(uint32_t id, const btf_type* type, uint32_t depth);
  Result<TypeRef> convert_alias(uint32_t id, const btf_type* type, uint32_t depth);
  Result<TypeRef> convert_array(const btf_type* type, uint32_t depth);
  Result<TypeRef> convert_struct(uint32_t id, const btf_type* type, uint32_t depth);
  Result<TypeRef> convert_enum(uint32_t id, const btf_type* type);
  TypeRef convert_pointer(uint32_t id, const btf_type* type);
  Status spend(uint32_t count);
  Status read_definition(const btf_type* definition, MapSpec& spec, bool may_hold_maps);
  Status read_inner(const btf_type* values, MapSpec& spec);
};

}  // namespace mapshift
