// SPDX-License-Identifier: Apache-2.0
// A running map is described as its object file describes it.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "kernel/btf.h"
#include "kernel/object_file.h"

namespace mapshift {
namespace {

void expect_same(const TypeRef& a, const TypeRef& b, const std::string& where) {
  ASSERT_EQ(static_cast<bool>(a), static_cast<bool>(b)) << where;
  if (!a) return;
  EXPECT_EQ(a->kind, b->kind) << where;
  EXPECT_EQ(a->name, b->name) << where;
  EXPECT_EQ(a->size, b->size) << where;
  EXPECT_EQ(a->count, b->count) << where;
  EXPECT_EQ(a->tags, b->tags) << where;
  ASSERT_EQ(a->members.size(), b->members.size()) << where;
  for (size_t i = 0; i < a->members.size(); ++i) {
    EXPECT_EQ(a->members[i].name, b->members[i].name) << where;
    EXPECT_EQ(a->members[i].bit_offset, b->members[i].bit_offset) << where << "." << a->members[i].name;
    EXPECT_EQ(a->members[i].tags, b->members[i].tags) << where << "." << a->members[i].name;
    expect_same(a->members[i].type, b->members[i].type, where + "." + a->members[i].name);
  }
  expect_same(a->element, b->element, where + "[]");
}

const MapSpec* map_named(const ObjectSpec& object, const std::string& name) {
  for (const auto& map : object.maps) {
    if (map.name == name) return &map;
  }
  return nullptr;
}

TEST(RunningMap, IsWhatTheObjectSays) {
  const std::string path = std::string(FIXTURES) + "/inspect_patterns.bpf.o";
  const auto spec = read_object_file(path);
  ASSERT_TRUE(spec) << spec.error().message;
  const std::unique_ptr<bpf_object, decltype(&bpf_object__close)> object(bpf_object__open(path.c_str()), &bpf_object__close);
  ASSERT_TRUE(object);
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object.get()) bpf_program__set_autoload(program, false);
  if (const int err = bpf_object__load(object.get()); err != 0) {
    const char* required = std::getenv("MAPSHIFT_REQUIRE_KERNEL");
    if (err == -EPERM && (required == nullptr || std::string(required) != "1")) GTEST_SKIP() << "no privilege to make BPF maps";
    FAIL() << "load: " << err;
  }
  size_t seen = 0;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object.get()) {
    const auto running = map_spec_from_fd(bpf_map__fd(map));
    ASSERT_TRUE(running) << running.error().message;
    const MapSpec* written = map_named(*spec, running->name);
    ASSERT_NE(written, nullptr) << running->name;
    ++seen;
    EXPECT_EQ(running->type, written->type) << written->name;
    EXPECT_EQ(running->section, written->section) << written->name;
    EXPECT_EQ(running->key_size, written->key_size) << written->name;
    EXPECT_EQ(running->value_size, written->value_size) << written->name;
    EXPECT_EQ(running->max_entries, written->max_entries) << written->name;
    EXPECT_EQ(running->flags, written->flags) << written->name;
    ASSERT_EQ(running->variables.size(), written->variables.size()) << written->name;
    for (size_t i = 0; i < running->variables.size(); ++i) {
      EXPECT_EQ(running->variables[i].name, written->variables[i].name);
      EXPECT_EQ(running->variables[i].offset, written->variables[i].offset);
      EXPECT_EQ(running->variables[i].size, written->variables[i].size);
      EXPECT_EQ(running->variables[i].tags, written->variables[i].tags);
    }
    if (running->value) expect_same(running->key, written->key, written->name + " key");
    if (running->value) expect_same(running->value, written->value, written->name);
    else EXPECT_TRUE(written->key == nullptr || written->value == nullptr) << written->name << " lost its types";
  }
  EXPECT_EQ(seen, spec->maps.size());
}

TEST(RunningMap, ABadDescriptorIsAnError) {
  const auto running = map_spec_from_fd(-1);
  ASSERT_FALSE(running);
  EXPECT_EQ(running.error().code, ErrorCode::kKernel);
}

}  // namespace
}  // namespace mapshift
