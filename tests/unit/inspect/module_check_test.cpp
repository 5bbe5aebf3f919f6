// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "facts.h"
#include "update/module_check_next.h"

namespace mapshift::update {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

std::vector<std::string> said(const std::vector<Problem>& problems) {
  std::vector<std::string> out;
  for (const auto& problem : problems) out.push_back(problem.code + " " + problem.where);
  return out;
}

std::string message_of(const std::vector<Problem>& problems, const std::string& code) {
  for (const auto& problem : problems)
    if (problem.code == code) return problem.message;
  return {};
}

TEST(ModuleCheck, WarnsOfWhatBitesInTheNextVersion) {
  const auto all = check_next_version({}, read_fixture("habits"));
  EXPECT_THAT(said(all),
              UnorderedElementsAre("key-holes maps.habits", "holes maps.habits", "not-atomic maps.habits.fields.plain",
                                   "declare-merge maps.habits.fields.window", "wide-in-place maps.habits.fields.name",
                                   "no-btf maps.untyped", "not-atomic maps.bss.fields.total"));
  EXPECT_THAT(message_of(all, "holes"), HasSubstr("4 bytes after state, 2 bytes after peers.port"));
  EXPECT_THAT(message_of(all, "key-holes"), HasSubstr("3 bytes after protocol"));
  EXPECT_THAT(message_of(all, "not-atomic"), HasSubstr("__sync_fetch_and_add"));
  EXPECT_THAT(message_of(all, "wide-in-place"), HasSubstr("16 bytes"));
}

TEST(ModuleCheck, TheManifestMayHaveSaidIt) {
  Manifest manifest;
  manifest.maps["habits"].fields["window"].merge = Merge::kLatest;
  manifest.maps["habits"].fields["plain"].merge = Merge::kLatest;
  manifest.maps["untyped"].value_type = "struct guarded";
  const auto all = check_next_version(manifest, read_fixture("habits"));
  EXPECT_THAT(said(all), UnorderedElementsAre("key-holes maps.habits", "holes maps.habits", "wide-in-place maps.habits.fields.name",
                                              "not-atomic maps.bss.fields.total"));
}

TEST(ModuleCheck, OlderObjects) {
  ObjectSpec object = read_fixture("habits");
  object.has_btf = false;
  EXPECT_THAT(message_of(check_next_version({}, object), "no-btf"), HasSubstr("-g"));
}

TEST(ModuleCheck, HolesOfHostileTypes) {
  EXPECT_THAT(holes_in(nullptr), ElementsAre());
  auto inner = std::make_shared<Type>();
  inner->kind = TypeKind::kStruct;
  inner->size = 8;
  auto word = std::make_shared<Type>();
  word->kind = TypeKind::kInt;
  word->size = 4;
  inner->members.push_back({"a", 0, 0, word});
  inner->members.push_back({"b", 16, 0, word});     // overlaps
  inner->members.push_back({"c", 0xffffff00, 0, word});  // far outside
  inner->members.push_back({"d", 8, 0, nullptr});
  EXPECT_LE(holes_in(inner).size(), 2U);
  TypeRef nested = inner;
  for (int i = 0; i < 1000; ++i) {
    auto outer = std::make_shared<Type>();
    outer->kind = TypeKind::kStruct;
    outer->size = 16;
    outer->members.push_back({"x", 0, 0, nested});
    outer->members.push_back({"y", 64, 0, nested});
    nested = outer;
  }
  EXPECT_LE(holes_in(nested).size(), 8192U);
}

}  // namespace
}  // namespace mapshift::update
