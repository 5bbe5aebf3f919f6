// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>

#include "config/config.h"
#include "config/manifest.h"
#include "documents.h"

namespace mapshift::config {
namespace {

constexpr uint64_t kSeed = 20260101;

std::string mutate(std::string text, std::mt19937_64& random) {
  static constexpr std::string_view kPieces[] = {"{",     "}", "[",  "]",  ",",       ":",    "\"", "null",  "-1",
                                                 "1e308", "$", "$$", "${", "\\u0000", "\xff", "\n", "\"a\":"};
  const size_t edits = 1 + random() % 4;
  for (size_t i = 0; i < edits && !text.empty(); ++i) {
    const size_t at = random() % text.size();
    switch (random() % 3) {
      case 0: text.erase(at, 1 + random() % 8); break;
      case 1: text.insert(at, kPieces[random() % std::size(kPieces)]); break;
      default: text[at] = static_cast<char>(random()); break;
    }
  }
  return text;
}

// Whatever comes in, there is an answer: a document, or an error that says something.
TEST(Mutation, AnyTextIsAnswered) {
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937_64 random(kSeed);
  size_t accepted = 0;
  for (int i = 0; i < 4000; ++i) {
    const auto config = parse_config(mutate(kFullConfig, random), "c");
    ASSERT_TRUE(config || !config.error().message.empty());
    const auto manifest = parse_manifest(mutate(kFullManifest, random), "/d", {}, "m");
    if (!manifest) {
      ASSERT_FALSE(manifest.error().message.empty());
      ASSERT_FALSE(manifest.error().problems.empty());
      continue;
    }
    ++accepted;
    const auto again = parse_manifest(manifest->text, "/elsewhere", {}, "m");
    ASSERT_TRUE(again) << manifest->text << "\n" << again.error().message;
    ASSERT_EQ(again->text, manifest->text);
  }
  EXPECT_GT(accepted, 0U);
}

}  // namespace
}  // namespace mapshift::config
