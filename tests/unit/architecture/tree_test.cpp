// SPDX-License-Identifier: Apache-2.0
// The rules of the house, held against every source file of the repository.
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "walls.h"

namespace mapshift::architecture {
namespace {

namespace fs = std::filesystem;
const fs::path kRoot = MAPSHIFT_SOURCE_DIR;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool is_source(const fs::path& path) {
  static constexpr std::array<std::string_view, 8> kEndings{".h", ".cpp", ".c", ".hpp", ".cmake", ".py", ".sh", ".go"};
  const std::string name = path.filename();
  if (name == "CMakeLists.txt") return true;
  for (const auto ending : kEndings)
    if (name.ends_with(ending)) return true;
  return false;
}

using Rule = std::function<std::vector<std::string>(std::string_view, std::string_view)>;

// All violations, not the first one only.
void expect_clean(const Rule& rule) {
  size_t files = 0;
  for (const char* top : {"src", "bpf", "tests"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / top)) {
      if (!entry.is_regular_file() || !is_source(entry.path())) continue;
      files++;
      const std::string path = fs::relative(entry.path(), kRoot);
      for (const auto& violation : rule(path, read(entry.path()))) ADD_FAILURE() << violation;
    }
  }
  EXPECT_GT(files, 20u) << "the sources were not found below " << kRoot;
}

TEST(Tree, IncludesRespectTheWalls) { expect_clean(include_violations); }
TEST(Tree, PureCodeStaysPure) { expect_clean(purity_violations); }
TEST(Tree, EveryFileHasItsLicence) { expect_clean(licence_violations); }
TEST(Tree, FilesStaySmall) { expect_clean(length_violations); }

TEST(Tree, EveryPathThatContributingNamesExists) {
  const std::string document = read(kRoot / "CONTRIBUTING.md");
  ASSERT_FALSE(document.empty()) << "CONTRIBUTING.md is missing";
  const auto paths = paths_named_in(document);
  EXPECT_GE(paths.size(), 10u) << "the recipes name no files any more";
  for (const auto& path : paths) EXPECT_TRUE(fs::exists(kRoot / path)) << "CONTRIBUTING.md names " << path;
}

}  // namespace
}  // namespace mapshift::architecture
