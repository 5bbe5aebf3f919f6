// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace mapshift {

// A C type as BTF describes it: pure data, no file or kernel behind it, immutable once built, so free to share
// between threads. Typedefs, const, volatile and restrict are resolved away.
enum class TypeKind : uint8_t {
  kVoid,
  kInt,     // integers, char and bool
  kFloat,
  kEnum,
  kPointer,
  kArray,   // element x count
  kStruct,
  kUnion,
  kOpaque,  // bytes of unknown structure: no BTF
};

struct Type;
using TypeRef = std::shared_ptr<const Type>;

struct Member {
  std::string name;  // empty for an anonymous struct or union
  uint32_t bit_offset = 0;
  uint32_t bit_size = 0;  // 0 unless it is a bit-field
  TypeRef type;
  std::vector<std::string> tags = {};  // btf_decl_tag strings, such as "mapshift:merge=sum"
};

struct Enumerator {
  std::string name;
  int64_t value = 0;
};

struct Type {
  TypeKind kind = TypeKind::kVoid;
  std::string name;   // as written in C, without "struct": "flow", "__u64"
  uint32_t size = 0;  // bytes
  bool is_signed = false;
  bool is_bool = false;
  std::vector<Member> members = {};          // struct, union
  std::vector<Enumerator> enumerators = {};  // enum
  TypeRef element = {};                      // array
  uint32_t count = 0;                        // array
  std::vector<std::string> tags = {};        // on the type itself, such as "mapshift:epoch=2"
};

}  // namespace mapshift
