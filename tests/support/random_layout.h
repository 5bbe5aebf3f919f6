// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "type_builder.h"
#include "update/schema_diff.h"

namespace mapshift::oracle {

// A value type and what its author made of it in the next version, with the engine's table for the pair.
struct RandomLayout {
  TypeRef old_type, new_type;
  update::SchemaDiff diff;
  SyncSpec spec;  // of a hash map with 8-byte keys; callers change what they need
};

class LayoutMaker {
 public:
  explicit LayoutMaker(uint64_t seed) : random_(seed) {}

  RandomLayout make() {
    const uint32_t count = pick(1, pick(0, 9) == 0 ? 60 : 12);
    for (uint32_t i = 0; i < count; ++i) add_field(i);
    std::shuffle(new_.begin(), new_.end(), random_);
    if (pick(0, 1) == 1) new_.push_back({"added", types::u32(), {"mapshift:default=7"}});
    return finish(types::structure("value", old_), types::structure("value", new_));
  }

 private:
  uint32_t pick(uint32_t low, uint32_t high) { return std::uniform_int_distribution<uint32_t>(low, high)(random_); }

  void add_field(uint32_t i) {
    const std::string name = "f" + std::to_string(i);
    std::vector<std::string> tags;
    TypeRef before, after;
    switch (pick(0, 5)) {
      case 0: {
        before = types::array(types::u8(), pick(1, 40));
        after = types::array(types::u8(), before->count + pick(0, 5));
        break;
      }
      case 1: {
        before = types::enumeration("state", {{"A", 0}, {"B", 1}, {"C", 2}});
        after = types::enumeration("state", pick(0, 1) == 0 ? std::vector<Enumerator>{{"A", 0}, {"B", 1}, {"C", 2}}
                                                            : std::vector<Enumerator>{{"B", 0}, {"A", 1}, {"C", 5}});
        break;
      }
      case 2: {
        const TypeRef inner = types::structure("inner", {{"a", types::u64()}, {"b", types::u16()}});
        before = types::array(inner, pick(1, 4));
        after = types::array(types::structure("inner", {{"b", types::u32()}, {"a", types::u64()}}), before->count);
        break;
      }
      default: {
        static constexpr const char* kMerges[] = {"sum", "latest", "max", "min", "or", "first"};
        const uint32_t size = 1U << pick(2, 3), wider = pick(0, 2) == 0 ? 8 : size;
        const bool is_signed = pick(0, 3) == 0;
        before = types::integer(size, is_signed);
        after = types::integer(wider, is_signed);
        if (pick(0, 4) == 0) before = types::array(before, pick(1, 6)), after = types::array(after, before->count);
        tags.push_back(std::string("mapshift:merge=") + kMerges[pick(0, 5)]);
      }
    }
    old_.push_back({name, before, tags});
    const uint32_t fate = pick(0, 9);
    if (fate == 0) return;  // dropped
    if (fate == 1) tags.push_back("mapshift:from=" + name);
    new_.push_back({fate == 1 ? name + "_renamed" : name, after, tags});
  }

  static RandomLayout finish(TypeRef before, TypeRef after) {
    RandomLayout out{before, after, {}, {}};
    update::SchemaRequest request{"maps.random", {before, before->size}, {after, after->size}};
    out.diff = update::diff_values(request);
    out.spec.key_size = 8;
    out.spec.value_size0 = before->size;
    out.spec.value_size1 = after->size;
    out.spec.max_entries0 = out.spec.max_entries1 = 1024;
    out.spec.fields = out.diff.ops;
    out.spec.defaults1 = out.diff.defaults;
    out.spec.remaps = out.diff.remaps;
    return out;
  }

  std::mt19937_64 random_;
  std::vector<types::FieldOf> old_, new_;
};

// The same seed gives the same layout on every machine with this standard library. Never refused by the schema diff.
inline RandomLayout make_random_layout(uint64_t seed) { return LayoutMaker(seed).make(); }

}  // namespace mapshift::oracle
