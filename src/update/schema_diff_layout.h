// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kernel/type.h"
#include "update/manifest.h"

namespace mapshift::update {

enum class FieldKind : uint8_t {
  kInt,
  kBool,
  kEnum,
  kFloat,
  kPointer,
  kBytes,  // an array of bytes, or an integer of a size that no instruction handles
  kBits,   // neighbouring bit-fields: the bytes that hold them
  kUnion,  // a union as a whole
};

struct Dimension {
  uint32_t count = 0, stride = 0;  // elements, and bytes from one to the next
};

// What an author wrote beside a field, or beside a structure around it.
struct FieldTags {
  std::optional<Merge> merge = {};
  std::vector<std::string> from = {};  // paths in the old layout that were meant, the likeliest first
  std::optional<int64_t> default_value = {};
  std::optional<UnionRule> in_union = {};  // kUnion
};

// A leaf of a value: a scalar, or all elements of an array that share a path ("slots.packets" is one field for all slots).
struct Field {
  std::string path;                       // "a.b"; of a bit-field run or an anonymous union, the members joined with '|'
  std::vector<std::string> aliases = {};  // those members, one by one
  FieldKind kind = FieldKind::kInt;
  uint32_t offset = 0, size = 0;          // of the first element
  bool is_signed = false;
  bool resizable = false;                 // kBytes: an array, so that its common prefix means something
  TypeRef type = {};
  std::vector<Member> bits = {};          // kBits: with offsets from the run's first byte
  std::vector<Dimension> dims = {};
  FieldTags tags = {};
  // Of a member of a union whose discriminator says when it is in use (expand_unions): as in SyncField.
  uint8_t in_union = 0, arm = 0;
  bool zero = false;
  std::string when = {};  // for people
  bool expanded = false;  // kUnion: its members stand for it
};

struct Lock {  // a bpf_spin_lock
  std::string path;
  uint32_t offset = 0;
  bool operator==(const Lock&) const = default;
};

struct Layout {
  std::vector<Field> fields;
  std::vector<Lock> locks;            // at most one without a problem: the kernel knows no more
  std::vector<std::string> specials;  // "path (struct bpf_timer)": what the kernel owns and nobody may copy
  std::vector<Problem> problems;      // contradictions in the type information, unreadable tags
};

inline constexpr uint32_t kMaxTypeDepth = 32;

// The leaves of `type`, which spans `size` bytes. Contradictory input (overlaps, members beyond the end) ends in problems,
// never in more work than a few times `size`.
[[nodiscard]] Layout read_layout(const TypeRef& type, uint32_t size, const std::string& where);

// The leaves of one member of the union `of`, which lies in a value of `size` bytes. `path` is the member's.
[[nodiscard]] Layout read_union_member(const Member& member, const Field& of, const std::string& path, uint32_t size, const std::string& where);

// "mapshift:epoch=N" of a type or of what it contains: the sum of all, so that any of them makes a difference; 0 without.
[[nodiscard]] int64_t epoch_of(const TypeRef& type);

// Same size and structure, whatever the names.
[[nodiscard]] bool same_bytes(const TypeRef& a, const TypeRef& b);

[[nodiscard]] std::string join_path(std::string_view parent, std::string_view name);
// A byte array as the integers of one byte that it consists of.
[[nodiscard]] Field as_elements(Field field);
[[nodiscard]] uint64_t element_count(const Field& field);
// Bytes from the first to the end of the last element.
[[nodiscard]] uint64_t extent(const Field& field);
// "u32", "s64[8]", "enum state", "16 bytes"
[[nodiscard]] std::string describe(const Field& field);

}  // namespace mapshift::update
