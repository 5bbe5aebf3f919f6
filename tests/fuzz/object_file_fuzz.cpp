// SPDX-License-Identifier: Apache-2.0
// Damaged object files: each is an error or a spec whose numbers hold, never a crash, and never for long.
#include <elf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>

#include "kernel/btf.h"
#include "kernel/elf_file.h"
#include "kernel/object_file.h"
#include "update/inference.h"
#include "update/module_check.h"
#include "update/names.h"
#include "update/schema_diff.h"

namespace mapshift {
namespace {

using Bytes = std::vector<std::byte>;
using Clock = std::chrono::steady_clock;

Bytes read(const std::string& name) {
  std::ifstream in(std::string(FIXTURES) + "/inspect_" + name + ".bpf.o", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}
  size_t below(size_t limit) { return limit == 0 ? 0 : random_() % limit; }

  // A few bytes, words of interesting values, swapped pieces, or a shorter file.
  void damage(Bytes& bytes, size_t begin, size_t end) {
    constexpr uint32_t kWords[] = {0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff0, 0x10000, 4096, 65535};
    const size_t times = 1 + below(6);
    for (size_t n = 0; n < times && end - begin > 8; ++n) {
      const size_t at = begin + below(end - begin - 8);
      switch (below(5)) {
        case 0: bytes[at] = static_cast<std::byte>(random_()); break;
        case 1: bytes[at] ^= static_cast<std::byte>(1U << below(8)); break;
        case 2: std::memcpy(&bytes[at & ~size_t{3}], &kWords[below(std::size(kWords))], 4); break;
        case 3: std::memmove(&bytes[at], &bytes[begin + below(end - begin - 8)], 8); break;
        case 4: {
          const uint64_t large = random_() >> below(64);
          std::memcpy(&bytes[at], &large, 8);
          break;
        }
      }
    }
    if (below(20) == 0 && end == bytes.size()) bytes.resize(begin + below(end - begin));
  }

 private:
  std::mt19937_64 random_;
};

void check_type(const Type& type, int depth) {
  ASSERT_LE(depth, 64);
  for (const auto& member : type.members) {
    ASSERT_TRUE(member.type);
    ASSERT_LE(member.bit_offset + (member.bit_size != 0 ? member.bit_size : uint64_t{member.type->size} * 8),
              uint64_t{type.size} * 8);
    if (depth < 6) check_type(*member.type, depth + 1);
  }
  if (type.element) check_type(*type.element, depth + 1);
}

void check(const ObjectSpec& object) {
  for (const auto& map : object.maps) {
    if (map.value) {
      ASSERT_EQ(map.value->size, map.value_size);
      check_type(*map.value, 0);
    }
    for (const auto& variable : map.variables) ASSERT_LE(uint64_t{variable.offset} + variable.size, map.value_size);
  }
  const auto facts = update::analyse(object);
  for (const auto& access : facts.fields)
    (void)update::infer_merge(facts, access.map, facts, access.map, 0, 8, access.offset, access.size);
}

// Something for each member and a few elements, whatever the types say of their places.
update::RodataValue shaped_like(const Type* type, int depth) {
  if (type == nullptr || depth > 8) return {int64_t{1}};
  if (type->kind == TypeKind::kArray) return {update::RodataValue::Elements(std::min(type->count, 3u), shaped_like(type->element.get(), depth + 1))};
  if (type->kind != TypeKind::kStruct && type->kind != TypeKind::kUnion) return {int64_t{1}};
  update::RodataValue::Members members;
  for (const Member& member : type->members) {
    if (type->kind == TypeKind::kUnion && !members.empty()) break;
    members.emplace(member.name, shaped_like(member.type.get(), depth + 1));
  }
  return {std::move(members)};
}

// The damaged object as the next generation of the whole one: nothing that the engine is told reaches out of a value or a key.
void check_update(const ObjectSpec& old_object, const ObjectSpec& new_object) {
  update::Manifest manifest;
  for (const auto& map : new_object.maps) {
    if (map.section == DataSection::kRodata)
      for (const auto& variable : map.variables) manifest.rodata[variable.name] = shaped_like(variable.type.get(), 0);
    const MapSpec* before = update::find_map(old_object, map.name);
    if (before == nullptr) continue;
    const auto diff = update::diff_values({.where = "maps." + map.name, .old_value = {before->value, before->value_size},
                                           .new_value = {map.value, map.value_size}, .section = map.section != DataSection::kNone});
    if (!diff.refusals.empty()) continue;
    for (const SyncField& op : diff.ops) {
      ASSERT_LE(uint64_t{op.offset0} + op.size0, before->value_size) << map.name;
      ASSERT_LE(uint64_t{op.offset1} + op.size1, map.value_size) << map.name;
    }
    const auto keys = update::diff_keys({before->key, before->key_size}, {map.key, map.key_size});
    if (!keys.refusals.empty()) continue;
    for (const SyncField& op : keys.fields) {
      ASSERT_LE(uint64_t{op.offset0} + op.size0, before->key_size) << map.name;
      ASSERT_LE(uint64_t{op.offset1} + op.size1, map.key_size) << map.name;
    }
  }
  (void)update::check_module(manifest, new_object);
}

template <class F>
void loop(const char* what, uint64_t seed, F&& once) {
  const auto end = Clock::now() + std::chrono::seconds(number_from("MAPSHIFT_FUZZ_SECONDS", 4));
  uint64_t rounds = 0;
  for (; Clock::now() < end && !::testing::Test::HasFatalFailure(); ++rounds) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(rounds));
    const auto start = Clock::now();
    once();
    ASSERT_LT(Clock::now() - start, std::chrono::seconds(10));
  }
  std::printf("%s: seed %llu, %llu rounds\n", what, static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(rounds));
}

uint64_t fresh_seed() { return number_from("MAPSHIFT_FUZZ_SEED", std::random_device{}()); }

TEST(Fuzz, ObjectFiles) {
  const Bytes inputs[] = {read("patterns"), read("loops"), read("order"), read("unions"), read("settings")};
  std::vector<ObjectSpec> whole;
  for (const Bytes& input : inputs) whole.push_back(read_object_bytes("whole", input).value());
  const uint64_t seed = fresh_seed();
  Mutator mutator(seed);
  uint64_t accepted = 0;
  loop("object files", seed, [&] {
    const size_t which = mutator.below(std::size(inputs));
    Bytes bytes = inputs[which];
    ASSERT_GT(bytes.size(), sizeof(Elf64_Ehdr));
    Elf64_Ehdr header;
    std::memcpy(&header, bytes.data(), sizeof(header));
    // The header, the section table, one section's content, anywhere, or the types (where the meaning is).
    switch (mutator.below(6)) {
      case 0: mutator.damage(bytes, 0, sizeof(header)); break;
      case 1: mutator.damage(bytes, header.e_shoff, bytes.size()); break;
      case 2: {
        Elf64_Shdr section;
        std::memcpy(&section, &bytes[header.e_shoff + mutator.below(header.e_shnum) * sizeof(section)], sizeof(section));
        if (section.sh_type == SHT_NOBITS || section.sh_size == 0) return;
        mutator.damage(bytes, section.sh_offset, section.sh_offset + section.sh_size);
        break;
      }
      case 3: mutator.damage(bytes, 0, bytes.size()); break;
      default: {
        const auto types = ElfFile::parse(inputs[which])->section(".BTF")->data;
        const auto begin = static_cast<size_t>(std::search(bytes.begin(), bytes.end(), types.begin(), types.end()) - bytes.begin());
        mutator.damage(bytes, begin + 24, begin + types.size());
        break;
      }
    }
    const auto object = read_object_bytes("fuzz", bytes);
    if (!object) {
      ASSERT_FALSE(object.error().message.empty());
      return;
    }
    ++accepted;
    check(*object);
    check_update(whole[which], *object);
  });
  EXPECT_GT(accepted, 0U);
}

TEST(Fuzz, Btf) {
  const Bytes file = read("patterns");
  const auto elf = ElfFile::parse(file);
  ASSERT_TRUE(elf);
  const auto section = elf->section(".BTF")->data;
  const uint64_t seed = fresh_seed();
  Mutator mutator(seed);
  loop("BTF", seed, [&] {
    Bytes bytes(section.begin(), section.end());
    mutator.damage(bytes, mutator.below(2) == 0 ? 24 : 0, bytes.size());
    auto types = BtfTypes::parse(bytes);
    if (!types) return;
    for (uint32_t id = 0; id < 200; ++id) {
      const auto type = types->type(id);
      if (type) check_type(**type, 0);
    }
    (void)types->maps();
    (void)types->section(".bss");
  });
}

}  // namespace
}  // namespace mapshift
